using System;
using System.IO;
using System.Runtime.InteropServices;
using GStalker.Protocol;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class GoldenTests
    {
        private readonly MessageDecoder _decoder = new MessageDecoder();

        [Test]
        public void Every_message_decodes_to_the_values_beside_it()
        {
            foreach (MessageSpec spec in MessageSpecs.All)
            {
                string name = $"{spec.Topic.Replace('/', '_')}_v{Wire.WireVersion}";
                byte[] message = GoldenFiles.Bytes(name);
                Json json = Json.Parse(File.ReadAllText(Path.Combine(GoldenFiles.Folder, name + ".json")), name);
                Assert.IsTrue(_decoder.TryDecode(message, out MessageKind kind, out WireFault fault), $"{name}: {fault}");
                Assert.AreEqual(spec.Kind, kind);
                Assert.AreEqual(spec.Topic, json["topic"].Text);
                for (int i = 0; i < spec.Fields.Length; i++)
                    CheckField(spec.Fields[i], i, message, json["fields"][spec.Fields[i].Name]);
                for (int i = 0; i < spec.Arrays.Length; i++)
                    CheckArray(spec.Arrays[i], i, message, json["fields"][spec.Arrays[i].Name].Numbers());
            }
        }

        private void CheckField(FieldSpec field, int place, byte[] message, Json expected)
        {
            switch (field.Kind)
            {
                case FieldKind.Uint:
                    Assert.AreEqual(expected.Whole, _decoder.Whole(place), field.Name);
                    break;
                case FieldKind.Float:
                    Assert.AreEqual(expected.Number, _decoder.Number(place), field.Name);
                    break;
                case FieldKind.Bool:
                    Assert.AreEqual(expected.Truth, _decoder.Truth(place), field.Name);
                    break;
                case FieldKind.Text:
                    Assert.AreEqual(expected.Text, _decoder.Text(place, message).ToString(), field.Name);
                    break;
                case FieldKind.Texts:
                    string[] texts = _decoder.Texts(place, message).ToArray();
                    Assert.AreEqual(expected.Count, texts.Length, field.Name);
                    for (int i = 0; i < texts.Length; i++)
                        Assert.AreEqual(expected[i].Text, texts[i], field.Name);
                    break;
                default:
                    double[] numbers = expected.Numbers();
                    Assert.AreEqual(numbers.Length, _decoder.Numbers(place).Count, field.Name);
                    for (int i = 0; i < numbers.Length; i++)
                        Assert.AreEqual(numbers[i], _decoder.Numbers(place)[i], field.Name);
                    break;
            }
        }

        private void CheckArray(ArraySpec array, int place, byte[] message, double[] expected)
        {
            int size = (int)array.Element;
            Assert.AreEqual(expected.Length * size, _decoder.Bytes(place, message).Length, array.Name);
            for (int i = 0; i < expected.Length; i++)
            {
                double got = array.Element switch
                {
                    ElementKind.Byte => _decoder.Bytes(place, message)[i],
                    ElementKind.Short => _decoder.Shorts(place, message)[i],
                    _ => _decoder.Floats(place, message)[i],
                };
                Assert.AreEqual(expected[i], got, $"{array.Name}[{i}]");
            }
        }

        [Test]
        public void Every_bad_message_is_refused_with_the_reason_that_python_gives()
        {
            (string name, string words)[] bad =
            {
                ("bad_version", $"wire version: expected {Wire.WireVersion}, got 99"),
                ("bad_magic", "expected the magic"),
                ("bad_topic", "expected a topic of"),
                ("bad_session", "expected the topic of session 3"),
                ("bad_reserved", "expected zero at byte 22"),
                ("bad_cut_short", "bytes from a header of"),
                ("bad_too_long", "bytes from a header of"),
                ("bad_nan", "expected finite values"),
                ("bad_pose", "rows of a rigid transform"),
            };
            Assert.AreEqual(Directory.GetFiles(GoldenFiles.Folder, "bad_*.bin").Length, bad.Length, "bad files");
            foreach ((string name, string words) in bad)
            {
                Assert.IsFalse(_decoder.TryDecode(GoldenFiles.Bytes(name), out _, out WireFault fault), name);
                Assert.IsTrue(fault.ToString().Contains(words), $"{name}: expected \"{words}\" in \"{fault}\"");
            }
        }

        [Test]
        public void The_generated_frame_has_its_values_in_their_places()
        {
            byte[] message = GoldenFiles.Bytes($"frame_q16_v{Wire.WireVersion}");
            Assert.IsTrue(_decoder.TryDecode(message, out _, out _));
            var frame = new FrameQ16(_decoder, message);
            Assert.AreEqual(3, frame.SessionId);
            Assert.AreEqual(9L, frame.Sequence);
            Assert.AreEqual(7L, frame.Index);
            Assert.AreEqual(0.28, frame.TimeS);
            Assert.AreEqual(0.0875, frame.SentAtS);
            Assert.AreEqual(-0.25, frame.AvatarFromHead[7]);
            Assert.AreEqual(0.02, frame.AvatarFromTorso[11]);
            Assert.AreEqual(3 * Wire.BytesPerMover, frame.Movers.Length);
            Assert.Throws<WireException>(() => new Audio(_decoder, message));
        }

        [Test]
        public void Movers_decode_to_the_values_beside_them()
        {
            byte[] bytes = GoldenFiles.Bytes($"welcome_v{Wire.WireVersion}");
            Assert.IsTrue(_decoder.TryDecode(bytes, out _, out _));
            MoverBox box = AvatarDescription.Of(new Welcome(_decoder, bytes)).Box;
            string name = $"frame_q16_v{Wire.WireVersion}";
            byte[] message = GoldenFiles.Bytes(name);
            Assert.IsTrue(_decoder.TryDecode(message, out _, out _));
            Json decoded = Json.Parse(File.ReadAllText(Path.Combine(GoldenFiles.Folder, name + ".json")), name)["decoded"];
            for (int i = 0; i < 3; i++)
            {
                Mover mover = MoverCodes.Decode(new FrameQ16(_decoder, message).Movers, i, box);
                ReadOnlySpan<float> got = MemoryMarshal.Cast<Mover, float>(MemoryMarshal.CreateReadOnlySpan(ref mover, 1));
                double[] means = decoded["means"][i].Numbers(), quats = decoded["quats_wxyz"][i].Numbers();
                double[] scales = decoded["scales"][i].Numbers();
                // float32 in another order of operations: a few units in the last place of numbers up to 1.
                const double tolerance = 1e-6;
                for (int k = 0; k < 3; k++)
                {
                    Assert.AreEqual(means[k], got[k], tolerance, "mean");
                    Assert.AreEqual(scales[k], got[8 + k], tolerance, "scale");
                }
                for (int k = 0; k < 4; k++)
                    Assert.AreEqual(quats[k], got[4 + k], tolerance, "quaternion");
                Assert.AreEqual(decoded["opacities"].Numbers()[i], got[3], tolerance, "opacity");
            }
        }
    }
}
