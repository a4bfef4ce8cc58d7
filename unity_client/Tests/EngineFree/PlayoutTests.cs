using System;
using System.Collections.Generic;
using System.Linq;
using GStalker.Protocol;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    /// <summary>Sound and picture over a network in simulated time, compared by what they hold and not by what the
    /// playout says of them: a frame's index, and a sawtooth of one second whose height is its time.</summary>
    public sealed class PlayoutTests
    {
        private const int Rate = 16000, DeviceRate = 48000, Block = 480;
        private const double OffsetS = 100, SessionDrift = 200e-6, DeviceDrift = -150e-6, LeadS = 0.2, Seconds = 30;

        private static readonly Numbers Still = new Numbers(new double[] { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0 });

        private readonly RequestBuffer _buffer = new RequestBuffer();
        private readonly MessageDecoder _decoder = new MessageDecoder();
        private readonly short[] _pcm = new short[640];
        private readonly Playout _playout = new Playout(new AvatarDescription
        {
            FrameRateHz = 25, SoundRateHz = Rate, LeadS = LeadS, MoverCount = 0, GaussianCount = 1,
        });

        private static double SessionAt(double localS) => localS * (1 + SessionDrift) - OffsetS;

        private static double LocalAt(double sessionS) => (sessionS + OffsetS) / (1 + SessionDrift);

        private void Send(long index, double receivedS)
        {
            _buffer.Begin(FrameQ16.Spec, 1);
            foreach (long value in new[] { 1, index, index })
                _buffer.PutUint(value);
            _buffer.PutFloat(index * 0.04);
            _buffer.PutFloat(index * 0.04 - LeadS);
            _buffer.PutFloats(Still);
            _buffer.PutFloats(Still);
            _buffer.PutUint(0);
            _buffer.PutArray(ReadOnlySpan<byte>.Empty);
            _buffer.End();
            Assert.IsTrue(_decoder.TryDecode(_buffer.Message, out _, out WireFault fault), fault.ToString());
            _playout.Put(new FrameQ16(_decoder, _buffer.Message), receivedS);

            for (int i = 0; i < _pcm.Length; i++)
                _pcm[i] = (short)((index * 640 + i) % Rate * 2 - Rate);
            _buffer.Begin(Audio.Spec, 1);
            foreach (long value in new[] { 1, index, 0 })
                _buffer.PutUint(value);
            _buffer.PutFloat(index * 0.04);
            _buffer.PutFloat(index * 0.04 - LeadS);
            _buffer.PutUint(_pcm.Length);
            _buffer.PutArray(new ReadOnlySpan<short>(_pcm));
            _buffer.End();
            Assert.IsTrue(_decoder.TryDecode(_buffer.Message, out _, out fault), fault.ToString());
            _playout.Put(new Audio(_decoder, _buffer.Message), receivedS);
        }

        // The worst distance in seconds of the picture from the sound; positive: the sound leads.
        private (double leads, double lags, int compared) Run(Func<Random, double> delayS)
        {
            var random = new Random(5);
            var arrivals = new List<(double atS, long index)>();
            for (long index = 0; index < 25 * Seconds; index++)
                arrivals.Add((LocalAt(index * 0.04 - LeadS) + delayS(random), index));
            var due = new Queue<(double atS, long index)>(arrivals.OrderBy(a => a.atS));
            var block = new float[Block];
            double startS = LocalAt(-LeadS), nextPingS = startS, leads = 0, lags = 0;
            int compared = 0;
            for (long n = 0; n < Seconds * DeviceRate / Block; n++)
            {
                double heardAtS = startS + n * Block / (double)DeviceRate * (1 + DeviceDrift);
                for (; due.Count > 0 && due.Peek().atS <= heardAtS; due.Dequeue())
                    Send(due.Peek().index, due.Peek().atS);
                if (heardAtS >= nextPingS)
                {
                    double there = delayS(random), back = delayS(random);
                    _playout.PutPong(nextPingS, nextPingS + there + back, SessionAt(nextPingS + there), true);
                    nextPingS += 1;
                }
                _playout.Player.Fill(block, DeviceRate, heardAtS, _playout.TargetS(heardAtS));
                if (!_playout.TryPick(heardAtS, out PickedFrames picked, out double timeS))
                    continue;
                double seenS = (picked.Earlier.Index + picked.Weight * (picked.Later.Index - picked.Earlier.Index)) * 0.04;
                _playout.GiveBack(picked);
                double phaseS = (block[0] * 32768 + Rate) / 2 / Rate, offS = phaseS - seenS % 1;
                // Near the sawtooth's edge, in fades and before the connection has settled nothing can be read off it.
                if (phaseS < 0.01 || phaseS > 0.99 || seenS % 1 < 0.01 || seenS % 1 > 0.99 || n < 200 || !IsRamp(block))
                    continue;
                compared++;
                leads = Math.Max(leads, offS);
                lags = Math.Max(lags, -offS);
            }
            return (leads, lags, compared);
        }

        private static bool IsRamp(float[] block)
        {
            const double slope = 2 * (Rate / (double)DeviceRate) / 32768;
            return Math.Abs(block[100] - block[0] - 100 * slope) < 2e-5 && Math.Abs(block[479] - block[0] - 479 * slope) < 1e-4;
        }

        [Test]
        public void Over_a_good_network_the_picture_is_that_of_the_sample_being_heard()
        {
            (double leads, double lags, int compared) = Run(random => 0.001 + 0.002 * random.NextDouble());
            Assert.IsTrue(compared > 2000, $"{compared} compared");
            Assert.IsTrue(leads < 1e-5 && lags < 1e-5, $"sound leads by {leads}, lags by {lags}"); // measured 0.2 us
            FrameCounts counts = _playout.Frames.Counts;
            Assert.AreEqual(counts.Received, counts.Accounted);
            Assert.IsTrue(counts.Shown > 700, $"{counts.Shown} shown");
            Assert.AreEqual(0, _playout.Player.Skips);
        }

        [Test]
        public void Over_a_bad_network_sound_and_picture_stay_within_what_nobody_notices()
        {
            // Each twentieth message is up to 0.27 s on its way, with a lead of 0.2 s.
            (double leads, double lags, int compared) = Run(r => 0.02 + (r.Next(20) == 0 ? 0.25 * r.NextDouble() : 0.03 * r.NextDouble()));
            Assert.IsTrue(compared > 1500, $"{compared} compared");
            Assert.IsTrue(leads <= 0.045 && lags <= 0.125, $"sound leads by {leads}, lags by {lags}");
            Assert.IsTrue(_playout.DelayS > 0, "played later by what the network needs");
        }
    }
}
