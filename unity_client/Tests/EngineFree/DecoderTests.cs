using System;
using GStalker.Protocol;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class DecoderTests
    {
        private readonly MessageDecoder _decoder = new MessageDecoder();
        private readonly RequestBuffer _buffer = new RequestBuffer();

        private WireFaultKind FaultOf(byte[] message)
        {
            _decoder.TryDecode(message, out _, out WireFault fault);
            return fault.Kind;
        }

        // hello with its header replaced, lengths put right.
        private static byte[] WithHeader(params byte[] header)
        {
            byte[] good = GoldenFiles.Bytes($"hello_v{Wire.WireVersion}");
            var message = new byte[(32 + header.Length + 15) / 16 * 16];
            Array.Copy(good, message, 32);
            BitConverter.GetBytes(header.Length).CopyTo(message, 24);
            header.CopyTo(message, 32);
            return message;
        }

        [Test]
        public void Headers_that_are_no_map_of_the_right_fields_are_refused()
        {
            Assert.AreEqual(WireFaultKind.HeaderFormat, FaultOf(WithHeader()), "empty");
            Assert.AreEqual(WireFaultKind.HeaderFormat, FaultOf(WithHeader(0xC0)), "nil");
            Assert.AreEqual(WireFaultKind.Fields, FaultOf(WithHeader(0x80)), "no fields");
            Assert.AreEqual(WireFaultKind.HeaderFormat, FaultOf(WithHeader(0xDF, 0xFF, 0xFF, 0xFF, 0xFF)), "huge map");
            Assert.AreEqual(WireFaultKind.HeaderFormat, FaultOf(WithHeader(0x85, 0xDB, 0x7F, 0xFF, 0xFF, 0xFF)), "huge key");
            Assert.AreEqual(WireFaultKind.Fields, FaultOf(WithHeader(0x85, 0xA1, (byte)'x', 1)), "unknown key");
        }

        [Test]
        public void A_field_that_stands_twice_is_refused()
        {
            byte[] good = GoldenFiles.Bytes($"ping_v{Wire.WireVersion}");
            int at = new ReadOnlySpan<byte>(good).IndexOf(System.Text.Encoding.ASCII.GetBytes("client_time_s"));
            byte[] key = System.Text.Encoding.ASCII.GetBytes("request_id");
            var twice = (byte[])good.Clone();
            twice[at - 1] = (byte)(0xA0 | key.Length);
            key.CopyTo(twice, at);
            Assert.IsTrue(FaultOf(twice) != WireFaultKind.None);
        }

        [Test]
        public void Bytes_after_the_header_and_bits_of_another_type_are_refused()
        {
            byte[] message = GoldenFiles.Bytes($"speech_end_v{Wire.WireVersion}");
            int at = new ReadOnlySpan<byte>(message).IndexOf(System.Text.Encoding.ASCII.GetBytes("cut")) + 3;
            Assert.AreEqual((byte)0xC3, message[at], "true");
            message[at] = 1;
            Assert.AreEqual(WireFaultKind.Type, FaultOf(message));
        }

        [Test]
        public void Bytes_behind_the_map_and_bits_in_the_padding_are_refused()
        {
            byte[] good = GoldenFiles.Bytes($"hello_v{Wire.WireVersion}");
            int length = BitConverter.ToInt32(good, 24);
            byte[] header = good.AsSpan(32, length).ToArray();
            Assert.AreEqual(WireFaultKind.None, FaultOf(WithHeader(header)), "the header itself");
            Array.Resize(ref header, length + 1);
            Assert.AreEqual(WireFaultKind.HeaderFormat, FaultOf(WithHeader(header)), "one byte more");
            Assert.IsTrue(32 + length < good.Length, "padding");
            good[good.Length - 1] = 1;
            Assert.AreEqual(WireFaultKind.Padding, FaultOf(good));
        }

        [Test]
        public void Text_that_a_terminal_obeys_or_that_is_no_utf8_is_refused()
        {
            byte[] message = GoldenFiles.Bytes($"hello_v{Wire.WireVersion}");
            int at = new ReadOnlySpan<byte>(message).IndexOf(System.Text.Encoding.ASCII.GetBytes("golden")); // client_name
            foreach (byte bad in new byte[] { 0x1B, 0x00, 0x7F, 0x80, 0xC0, 0xFF })
            {
                message[at] = bad;
                Assert.AreEqual(WireFaultKind.TextContent, FaultOf(message), $"0x{bad:X2}");
            }
        }

        [Test]
        public void Utf8_counts_characters_and_refuses_overlong_forms_and_halves_of_pairs()
        {
            Assert.AreEqual(4, Utf8.CountPrintable(System.Text.Encoding.UTF8.GetBytes("aü€😀")));
            Assert.AreEqual(-1, Utf8.CountPrintable(new byte[] { 0xE0, 0x80, 0xAF }), "overlong");
            Assert.AreEqual(-1, Utf8.CountPrintable(new byte[] { 0xED, 0xA0, 0x80 }), "half a pair");
            Assert.AreEqual(-1, Utf8.CountPrintable(new byte[] { 0xF4, 0x90, 0x80, 0x80 }), "beyond Unicode");
            Assert.AreEqual(-1, Utf8.CountPrintable(System.Text.Encoding.UTF8.GetBytes("a\u202Eb")), "text direction");
        }

        [Test]
        public void A_count_that_overflows_any_product_is_refused_and_not_believed()
        {
            _buffer.Begin(FrameQ16.Spec, 3);
            foreach (long value in new long[] { 3, 0, 0 })
                _buffer.PutUint(value);
            _buffer.PutFloat(0);
            _buffer.PutFloat(0);
            var pose = new Numbers(new double[] { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0 });
            _buffer.PutFloats(pose);
            _buffer.PutFloats(pose);
            _buffer.PutUint(1_000_000);
            _buffer.End();
            Assert.AreEqual(WireFaultKind.Payload, FaultOf(_buffer.Message.ToArray()));
        }

        [Test]
        public void A_mirrored_pose_is_refused()
        {
            Assert.AreEqual(double.PositiveInfinity,
                new Numbers(new double[] { -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0 }).DistanceFromRigid());
            Assert.AreEqual(0.0, new Numbers(new double[] { 1, 0, 0, 5, 0, 0, -1, 6, 0, 1, 0, 7 }).DistanceFromRigid());
        }

        [Test]
        public void Decoding_a_frame_makes_no_garbage()
        {
            byte[] message = GoldenFiles.Bytes($"frame_q16_v{Wire.WireVersion}");
            long sum = 0;
            for (int i = 0; i < 100; i++)
                sum += Decode(message);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++)
                sum += Decode(message);
            long garbage = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.AreEqual(0L, garbage, "bytes of garbage");
            Assert.AreEqual(1100L * 48, sum);
        }

        private int Decode(byte[] message) =>
            _decoder.TryDecode(message, out _, out _) ? new FrameQ16(_decoder, message).Movers.Length : 0;
    }
}
