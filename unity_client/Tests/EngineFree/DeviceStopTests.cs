using System;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class DeviceStopTests
    {
        private const int Rate = 16000;

        [Test]
        public void A_device_that_plays_what_it_has_and_then_nothing_is_never_far_from_the_picture() => Stop(false);

        [Test]
        public void A_device_that_stands_with_what_it_has_is_never_far_from_the_picture() => Stop(true);

        // A ramp tells which time is heard; the device says nothing of its stop.
        private static void Stop(bool keepsWhatItHas)
        {
            const int rate = 48000, block = 480, held = 3 * block;
            const double stopS = 1.0, stopForS = 0.35, leadsS = 0.045, lagsS = 0.125; // the limits: ITU-R BT.1359
            var sound = new SoundBuffer(Rate, 8);
            var ramp = new short[4 * Rate];
            for (int i = 0; i < ramp.Length; i++)
                ramp[i] = (short)(i / 4 + 1);
            sound.Put(0, 0, ramp);
            var (player, device) = (new SoundPlayer(sound), new DeviceClock());
            var played = new float[rate * 3];
            var samples = new float[block];
            var shownS = new double[2000];
            var playedAt = new int[2000];
            int filled = 0, asked = 0, compared = 0;
            for (int tick = 0; tick < shownS.Length; tick++)
            {
                double trueS = tick * 0.001;
                bool stands = trueS >= stopS && trueS < stopS + stopForS;
                double stoodS = keepsWhatItHas ? Math.Min(Math.Max(0, trueS - stopS), stopForS) : 0;
                int playing = (int)((trueS - stoodS) * rate);
                if (!stands)
                    filled = Math.Max(filled, playing);
                while (!stands && filled + block <= playing + held)
                {
                    device.Add(asked / (double)rate, trueS + (filled - playing) / (double)rate, trueS);
                    double heardAtS = device.HeardAtS(asked / (double)rate);
                    player.Fill(samples, rate, heardAtS, heardAtS);
                    samples.CopyTo(played, filled);
                    (asked, filled) = (asked + block, filled + block);
                }
                playedAt[tick] = stands && keepsWhatItHas ? 0 : playing;
                double beforeS = tick == 0 ? 0 : shownS[tick - 1];
                shownS[tick] = player.TryHeardS(trueS, out double heardS) ? Math.Max(beforeS, heardS) : beforeS;
            }
            for (int tick = 100; tick < shownS.Length - 40; tick++)
            {
                int at = playedAt[tick];
                if (at < 240 || Math.Abs((played[at + 240] - played[at - 240]) * 32768 - 40) > 3)
                    continue; // silence or a fade: the ramp rises by 40 in 480 samples
                double leadS = played[at] * 32768 * 4 / Rate - shownS[tick];
                Assert.IsTrue(leadS < leadsS && leadS > -lagsS, $"{tick} ms: the sound leads by {leadS} s");
                compared++;
            }
            Assert.IsTrue(compared > 1400, $"compared {compared}");
            Assert.AreEqual(1.999, shownS[shownS.Length - 1], 0.05, "back in step");
        }
    }
}
