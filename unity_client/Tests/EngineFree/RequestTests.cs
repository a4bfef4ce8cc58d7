using System;
using GStalker.Protocol;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class RequestTests
    {
        private readonly RequestBuffer _buffer = new RequestBuffer();

        private void IsGolden(string topic)
        {
            byte[] golden = GoldenFiles.Bytes($"{topic}_v{Wire.WireVersion}");
            Assert.IsTrue(_buffer.Message.SequenceEqual(golden), $"{topic}: other bytes than Python's");
        }

        [Test]
        public void Every_request_is_written_byte_for_byte_as_python_writes_it()
        {
            byte[] state = { 0, 1, 2, 254, 255 };
            short[] pcm = { 0, 1, -1, 32767, -32768, 256 };
            Hello.Write(_buffer, 1, "golden", "golden ü", 0, true);
            IsGolden("hello");
            Leave.Write(_buffer, 2);
            IsGolden("leave");
            Ping.Write(_buffer, 3, 1234.5);
            IsGolden("ping");
            Play.Write(_buffer, 4);
            IsGolden("play");
            Stop.Write(_buffer, 5);
            IsGolden("stop");
            OpenSpeech.Write(_buffer, 6, 48000, 2, true);
            IsGolden("open_speech");
            PushSpeech.Write(_buffer, 7, 1, 960, 3, 2, pcm);
            IsGolden("push_speech");
            CloseSpeech.Write(_buffer, 8, 1);
            IsGolden("close_speech");
            SetExpression.Write(_buffer, 9, 0.25, 2, new[] { 0.5f, 1f }, new byte[] { 1, 0 });
            IsGolden("set_expression");
            SetEmotion.Write(_buffer, 10, "joy", 0.75, 0.5);
            IsGolden("set_emotion");
            SetGaze.Write(_buffer, 11, true, -0.25, 0.125, 0);
            IsGolden("set_gaze");
            SetHeadPose.Write(
                _buffer, 12, true, new Numbers(new[] { 0.0, 0.25, -0.125 }), new Numbers(new[] { 0, 0.015625, 0 }), 0.25);
            IsGolden("set_head_pose");
            SetIdle.Write(_buffer, 13, true, 4294967295);
            IsGolden("set_idle");
            SetRate.Write(_buffer, 14, 2);
            IsGolden("set_rate");
            GetStats.Write(_buffer, Wire.MaxUint);
            IsGolden("get_stats");
            GetSnapshot.Write(_buffer, 15);
            IsGolden("get_snapshot");
            Resume.Write(_buffer, 16, 5, state);
            IsGolden("resume");
            Shutdown.Write(_buffer, 17);
            IsGolden("shutdown");
        }

        [Test]
        public void What_a_field_may_not_hold_is_refused_before_it_is_sent()
        {
            var refused = new (string words, Assert.TestDelegate write)[]
            {
                ("rate_hz: expected 8000 to 96000, got 7999", () => OpenSpeech.Write(_buffer, 1, 7999, 1, false)),
                ("strength: expected 0 to 1, got NaN", () => SetEmotion.Write(_buffer, 1, "", double.NaN, 0)),
                ("emotion_name: expected at most 64", () => SetEmotion.Write(_buffer, 1, new string('x', 65), 1, 0)),
                ("client_name: expected at most 64 printable", () => Hello.Write(_buffer, 1, "a\u001bb", "", 0, false)),
                ("pcm: expected 8 bytes, got 6", () => PushSpeech.Write(_buffer, 1, 0, 0, 2, 2, new short[3])),
                ("rotation_rad: expected 3 numbers, got 2",
                    () => SetHeadPose.Write(_buffer, 1, true, new Numbers(new double[2]), new Numbers(new double[3]), 0)),
                ("expected finite values", () => SetExpression.Write(_buffer, 1, 0, 1, new[] { float.NaN }, new byte[1])),
            };
            foreach ((string words, Assert.TestDelegate write) in refused)
            {
                string reason = Assert.Throws<WireException>(write).Message;
                Assert.IsTrue(reason.Contains(words), $"expected \"{words}\" in \"{reason}\"");
            }
        }

        [Test]
        public void A_request_larger_than_the_server_takes_is_refused()
        {
            string reason = Assert.Throws<WireException>(
                () => PushSpeech.Write(_buffer, 1, 0, 0, 96000, 2, new short[192000])).Message;
            Assert.IsTrue(reason.Contains("expected at most 262144 bytes"), reason);
        }
    }
}
