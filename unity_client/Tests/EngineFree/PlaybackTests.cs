using System;
using GStalker.Protocol;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class PlaybackTests
    {
        private static readonly Numbers Still = new Numbers(new double[] { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0 });

        private static bool Put(FrameBuffer buffer, long sequence, long index) =>
            buffer.Put(sequence, index, index * 0.04, Still, Still, new[]
            {
                (byte)sequence, (byte)index, (byte)0, (byte)0, (byte)0, (byte)0, (byte)0, (byte)0,
                (byte)0, (byte)0, (byte)0, (byte)0, (byte)0, (byte)0, (byte)0, (byte)0,
            });

        private static (long a, long b, double weight) Pick(FrameBuffer buffer, double timeS)
        {
            Assert.IsTrue(buffer.TryPick(timeS, out PickedFrames picked), $"nothing at {timeS}");
            buffer.GiveBack(picked);
            return (picked.Earlier.Index, picked.Later.Index, picked.Weight);
        }

        private static void AddsUp(FrameBuffer buffer)
        {
            Assert.AreEqual(buffer.Counts.Received, buffer.Counts.Accounted, "counts");
        }

        [Test]
        public void A_time_between_two_frames_mixes_them_and_past_the_newest_holds_it()
        {
            var buffer = new FrameBuffer(8, 1);
            Assert.IsFalse(buffer.TryPick(0, out _), "empty");
            for (int i = 0; i < 3; i++)
                Put(buffer, i, i);
            Assert.AreEqual((0L, 1L, 0.0), Pick(buffer, 0));
            (long a, long b, double weight) = Pick(buffer, 0.05);
            Assert.AreEqual((1L, 2L), (a, b));
            Assert.AreEqual(0.25, weight, 1e-9);
            Assert.AreEqual((2L, 2L, 0.0), Pick(buffer, 0.5));
            AddsUp(buffer);
            Assert.AreEqual(2L, buffer.Counts.Shown);
        }

        [Test]
        public void Going_back_supersedes_everything_later_and_stragglers_of_before_stay_out()
        {
            var buffer = new FrameBuffer(16, 1);
            for (int i = 0; i < 6; i++)
                Put(buffer, i, i);
            Assert.IsTrue(Put(buffer, 7, 3), "sent again");
            Assert.IsFalse(Put(buffer, 6, 6), "sent before the change of mind, came after it");
            Assert.AreEqual((2L, 3L, 0.5), (Pick(buffer, 0.1).a, Pick(buffer, 0.1).b, Math.Round(Pick(buffer, 0.1).weight, 6)));
            Assert.AreEqual((3L, 3L, 0.0), Pick(buffer, 0.2));
            Assert.AreEqual(4L, buffer.Counts.Superseded);
            Assert.AreEqual(0L, buffer.Counts.Lost);
            AddsUp(buffer);
        }

        [Test]
        public void Holes_late_and_repeated_frames_are_each_counted_once()
        {
            var buffer = new FrameBuffer(8, 1);
            Put(buffer, 0, 0);
            Put(buffer, 3, 3);
            Assert.AreEqual(2L, buffer.Counts.Lost);
            Assert.IsTrue(Put(buffer, 2, 2), "out of order, in time");
            Assert.AreEqual(1L, buffer.Counts.Lost);
            Pick(buffer, 0.13);
            Assert.IsFalse(Put(buffer, 1, 1), "too late");
            Assert.IsFalse(Put(buffer, 3, 3), "twice");
            Assert.AreEqual((1L, 1L, 0L), (buffer.Counts.Late, buffer.Counts.Repeated, buffer.Counts.Lost));
            AddsUp(buffer);
        }

        [Test]
        public void A_full_buffer_keeps_what_is_shown_next_and_makes_no_garbage()
        {
            var buffer = new FrameBuffer(4, 1);
            for (int i = 0; i < 6; i++)
                Put(buffer, i, i);
            Assert.AreEqual(4, buffer.Count);
            Assert.AreEqual((0L, 1L), (Pick(buffer, 0).a, Pick(buffer, 0).b));
            AddsUp(buffer);
            var movers = new byte[16];
            Cycle(buffer, movers, 6, 200);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Cycle(buffer, movers, 200, 1200);
            long garbage = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.AreEqual(0L, garbage, "bytes of garbage");
        }

        private static void Cycle(FrameBuffer buffer, byte[] movers, int from, int to)
        {
            for (int i = from; i < to; i++)
            {
                buffer.Put(i, i, i * 0.04, Still, Still, movers);
                if (buffer.TryPick(i * 0.04, out PickedFrames picked))
                    buffer.GiveBack(picked);
            }
        }

        [Test]
        public void A_held_frame_is_not_written_over()
        {
            var buffer = new FrameBuffer(2, 1);
            Put(buffer, 0, 0);
            Put(buffer, 1, 1);
            Assert.IsTrue(buffer.TryPick(0.01, out PickedFrames held));
            for (int i = 2; i < 40; i++)
            {
                Put(buffer, i, i);
                Pick(buffer, i * 0.04);
            }
            Assert.AreEqual((byte)0, held.Earlier.Movers[1]);
            Assert.AreEqual((byte)1, held.Later.Movers[1]);
            buffer.GiveBack(held);
        }

        [Test]
        public void Across_many_missing_frames_the_earlier_is_held_and_the_later_come_to_at_the_end()
        {
            var buffer = new FrameBuffer(8, 1);
            Put(buffer, 0, 0);
            Put(buffer, 1, 10);
            Assert.AreEqual(0.0, Pick(buffer, 0.2).weight, 1e-9);
            Assert.AreEqual(0.5, Pick(buffer, 0.38).weight, 1e-9);
        }

        [Test]
        public void Half_way_between_two_poses_is_half_the_turn_and_half_the_way()
        {
            double s = Math.Sqrt(0.5);
            var quarter = new Numbers(new[] { 0, -1, 0, 0.2, 1, 0, 0, 0, 0, 0, 1, 0 });
            Numbers half = PoseMix.Mix(Still, quarter, 0.5);
            double[] expected = { s, -s, 0, 0.1, s, s, 0, 0, 0, 0, 1, 0 };
            for (int i = 0; i < 12; i++)
                Assert.AreEqual(expected[i], half[i], 1e-12, $"[{i}]");
            Assert.AreEqual(0.0, half.DistanceFromRigid(), 1e-12);
            for (int axis = 0; axis < 3; axis++) // half turns, where each component of the quaternion is the largest once
            {
                var turned = new double[12];
                for (int i = 0; i < 3; i++)
                    turned[5 * i] = i == axis ? 1 : -1;
                Assert.AreEqual(0.0, PoseMix.Mix(new Numbers(turned), new Numbers(turned), 0.3).DistanceFromRigid(), 1e-12);
                Assert.AreEqual(1.0, PoseMix.Mix(new Numbers(turned), new Numbers(turned), 0.3)[5 * axis], 1e-12);
            }
        }

        [Test]
        public void Poses_turn_the_shorter_way_round()
        {
            Numbers about(double degrees)
            {
                double c = Math.Cos(degrees * Math.PI / 180), s = Math.Sin(degrees * Math.PI / 180);
                return new Numbers(new[] { 1, 0, 0, 0, 0, c, -s, 0, 0, s, c, 0 });
            }
            Numbers half = PoseMix.Mix(about(-80), about(200), 0.5), expected = about(-120);
            for (int i = 0; i < 12; i++)
                Assert.AreEqual(expected[i], half[i], 1e-12, $"[{i}]");
        }

        [Test]
        public void Whichever_component_of_a_quaternion_is_left_out_the_others_keep_their_order()
        {
            var record = new byte[16];
            var box = new MoverBox(new Numbers(new double[3]), new Numbers(new double[] { 1, 1, 1 }), -8, -2);
            for (uint largest = 0; largest < 4; largest++)
            {
                uint word = (largest << 30) | 561 | (461u << 10) | (611u << 20);
                BitConverter.GetBytes(word).CopyTo(record, 8);
                Mover mover = MoverCodes.Decode(record, 0, box);
                double[] got = { mover.QuatW, mover.QuatX, mover.QuatY, mover.QuatZ };
                double unit = 1 / (511 * Math.Sqrt(2)), rest = Math.Sqrt(1 - 15000 * unit * unit);
                var expected = new System.Collections.Generic.List<double> { 50 * unit, -50 * unit, 100 * unit };
                expected.Insert((int)largest, rest);
                for (int k = 0; k < 4; k++)
                    Assert.AreEqual(expected[k], got[k], 1e-6, $"largest {largest}, component {k}");
            }
        }
    }
}
