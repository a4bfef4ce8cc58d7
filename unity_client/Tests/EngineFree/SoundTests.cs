using System;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class SoundTests
    {
        private const int Rate = 16000;

        private static short[] Sine(double hz, int count, int first = 0)
        {
            var pcm = new short[count];
            for (int i = 0; i < count; i++)
                pcm[i] = (short)Math.Round(16384 * Math.Sin(2 * Math.PI * hz * (first + i) / Rate));
            return pcm;
        }

        [Test]
        public void Sound_is_resampled_to_the_devices_rate_to_the_last_bit_of_16()
        {
            var buffer = new SoundBuffer(Rate, 2);
            for (int i = 0; i < 25; i++)
                buffer.Put(0, 640 * i, Sine(1000, 640, 640 * i));
            var output = new float[4800];
            Assert.IsTrue(buffer.Read(2000, Rate / 48000.0, output));
            double worst = 0;
            for (int i = 0; i < output.Length; i++)
                worst = Math.Max(worst, Math.Abs(output[i] - 0.5 * Math.Sin(2 * Math.PI * 1000 * (2000 + i / 3.0) / Rate)));
            // Half a step of 16 bits rounds the input, eight inputs' worth pass the filter; measured 3e-5.
            Assert.IsTrue(worst < 1.2e-4, $"worst {worst}");
        }

        [Test]
        public void Holes_are_faded_in_and_out_and_not_clicked()
        {
            var buffer = new SoundBuffer(Rate, 2);
            var loud = new short[4000];
            Array.Fill(loud, (short)16384);
            buffer.Put(0, 1000, loud);
            var output = new float[6000];
            buffer.Read(0, 1, output);
            float steepest = 0;
            for (int i = 1; i < output.Length; i++)
                steepest = Math.Max(steepest, Math.Abs(output[i] - output[i - 1]));
            Assert.AreEqual(0.5, output[3000], 1e-4);
            Assert.AreEqual(0f, output[900]);
            Assert.IsTrue(steepest < 0.02, $"steepest step {steepest}"); // 0.5 over a fade of 80 samples is 0.006
        }

        [Test]
        public void A_cut_voids_what_came_before_it_and_what_comes_after_it()
        {
            var buffer = new SoundBuffer(Rate, 2);
            buffer.Put(7, 0, Sine(440, 3200));
            buffer.End(7, 1600);
            Assert.AreEqual(0, buffer.Put(7, 3200, Sine(440, 640)), "after the cut");
            Assert.AreEqual(640, buffer.Put(8, 3200, Sine(440, 640)), "another utterance");
            var output = new float[1000];
            Assert.IsTrue(buffer.Read(1000, 1, output), "before the cut");
            Assert.IsFalse(buffer.Read(1700, 1, output), "after the cut");
        }

        [Test]
        public void Sound_that_comes_too_late_is_counted_and_left_out()
        {
            var buffer = new SoundBuffer(Rate, 2);
            buffer.Read(0, 1, new float[1000]);
            Assert.AreEqual(340, buffer.Put(0, 700, Sine(440, 640)));
            Assert.AreEqual(300L, buffer.LateSamples);
        }

        private static SoundPlayer Sounding()
        {
            var sound = new SoundBuffer(Rate, 8);
            sound.Put(0, 0, new short[7 * Rate]);
            return new SoundPlayer(sound);
        }

        [Test]
        public void The_player_is_pulled_onto_the_clock_without_a_skip_and_tells_what_is_heard()
        {
            SoundPlayer player = Sounding();
            var block = new float[480];
            double Target(double localS) => 0.1 + localS * (1 + 300e-6); // a device 300 ppm slower than the session
            for (int i = 0; i < 600; i++)
            {
                double heardAtS = i * 0.01;
                double wanted = Target(heardAtS) + (i > 20 ? 0.01 : 0); // the clock is found to be 10 ms off
                player.Fill(block, 48000, heardAtS, wanted);
            }
            Assert.AreEqual(0, player.Skips);
            Assert.AreEqual(0.0, player.OffS, 0.0015, "settled"); // 10 ms fall by e every 2 s, and 300 ppm stand for 0.6 ms
            Assert.IsTrue(player.TryHeardS(5.995, out double heardS));
            Assert.AreEqual(Target(5.995) + 0.01, heardS, 0.0016);
            Assert.IsFalse(player.TryHeardS(7, out _), "a device that stopped");
        }

        [Test]
        public void The_player_skips_where_it_is_too_far_behind_and_waits_where_it_is_ahead()
        {
            SoundPlayer player = Sounding();
            var block = new float[480];
            player.Fill(block, 48000, 0, 1);
            player.Fill(block, 48000, 0.01, 1.01 + 2 * SoundPlayer.SkipS);
            Assert.AreEqual(1, player.Skips);
            double skippedToS = 1.01 + 2 * SoundPlayer.SkipS;
            player.Fill(block, 48000, 0.02, skippedToS + 0.01);
            player.Fill(block, 48000, 0.03, skippedToS + 0.02);
            Assert.IsTrue(player.TryHeardS(0.035, out double heardS));
            Assert.AreEqual(skippedToS + 0.025, heardS, 1e-3);
            for (int i = 0; i < 10; i++)
                player.Fill(block, 48000, 0.04 + 0.01 * i, skippedToS - 0.3 + 0.01 * i);
            Assert.IsTrue(player.TryHeardS(0.13, out double waitedAtS));
            Assert.AreEqual(skippedToS + 0.03, waitedAtS, 1e-9, "a time that was heard does not come again");
            Assert.IsFalse(player.IsSounding);
            player.Fill(block, 48000, 0.2, double.NaN);
            Assert.IsFalse(player.IsSounding);
        }

        [Test]
        public void Where_nothing_sounds_the_player_jumps_at_once_and_counts_no_skip()
        {
            var player = new SoundPlayer(new SoundBuffer(Rate, 8));
            var block = new float[480];
            player.Fill(block, 48000, 0, 1);
            player.Fill(block, 48000, 0.01, 1.03);
            Assert.IsTrue(player.TryHeardS(0.01, out double heardS));
            Assert.AreEqual(1.03, heardS, 1e-9);
            Assert.AreEqual(0, player.Skips);
        }

        [Test]
        public void A_device_that_leaves_samples_out_is_noticed_and_one_late_reading_is_not()
        {
            var device = new DeviceClock();
            for (int i = 0; i < 200; i++)
                device.Add(i * 0.01, 5 + i * 0.01 + (i == 100 ? 0.05 : 0.001 * (i % 3)), 4.96 + i * 0.01);
            Assert.AreEqual(0, device.Skips);
            Assert.AreEqual(5 + 2.5, device.HeardAtS(2.5), 0.003);
            for (int i = 200; i < 210; i++)
                device.Add(i * 0.01, 5.1 + i * 0.01, 4.96 + i * 0.01);
            Assert.AreEqual(1, device.Skips);
            Assert.AreEqual(5.1 + 2.1, device.HeardAtS(2.1), 0.003);
        }
    }
}
