using System;
using System.IO;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class FileTests
    {
        private const string Key = "0123456789abcdefghijklmnopqrstuvwxyzABCD";

        private static void Refuses(string words, Assert.TestDelegate code)
        {
            string reason = Assert.Throws<AvatarException>(code).Message;
            Assert.IsTrue(reason.Contains(words), $"expected \"{words}\" in \"{reason}\"");
        }

        [Test]
        public void Addresses_of_other_machines_demand_keys_and_nonsense_is_refused()
        {
            Address.Parse("tcp://localhost:5555").RequireKeysElsewhere(null);
            Address.Parse("tcp://[::1]:5555").RequireKeysElsewhere(null);
            Assert.AreEqual("tcp://127.0.0.1:5556", Address.Parse("tcp://localhost:5555").At(5556));
            foreach (string elsewhere in new[] { "tcp://10.1.2.3:5555", "tcp://example.org:5555", "tcp://0.0.0.0:5555" })
            {
                Refuses("expected an address of this machine alone", () => Address.Parse(elsewhere).RequireKeysElsewhere(null));
                Address.Parse(elsewhere).RequireKeysElsewhere(new CurveKeys(Key, Key, Key));
            }
            foreach (string nonsense in new[] { "", "127.0.0.1:5555", "tcp://host", "tcp://host:0", "tcp://host:65535", "tcp://*:5555" })
                Refuses("expected an address tcp://HOST:PORT", () => Address.Parse(nonsense));
        }

        [Test]
        public void Keys_are_read_from_the_files_of_gstalker_keys_and_the_secret_is_never_shown()
        {
            string own = $"{{\"format\": \"gstalker key 1\", \"name\": \"a\", \"public_key\": \"{Key}\", \"secret_key\": \"{Key}\"}}";
            CurveKeys keys = CurveKeys.FromFiles(own, own.Replace("secret", "other"));
            Assert.AreEqual(Key, keys.ServerPublic);
            Refuses("expected the format gstalker key 1", () => CurveKeys.FromFiles(own.Replace("key 1", "key 9"), own));
            string bad = own.Replace("\"secret_key\": \"0", "\"secret_key\": \"~");
            string reason = Assert.Throws<AvatarException>(() => CurveKeys.FromFiles(bad, own)).Message;
            Assert.IsFalse(reason.Contains("~"), reason);
        }

        [Test]
        public void Json_reads_what_python_writes_and_refuses_the_rest()
        {
            Json json = Json.Parse("{\"a\": [1, -2.5e3, [3]], \"b\": \"\\u00fc\\n\", \"c\": true, \"d\": null}", "x");
            Assert.AreEqual(-2500.0, json["a"].Numbers()[1]);
            Assert.AreEqual(3, json["a"].Numbers().Length);
            Assert.AreEqual("ü\n", json["b"].Text);
            Refuses("x: a: expected a text", () => _ = json["a"].Text);
            Refuses("expected the field e", () => _ = json["e"]);
            foreach (string bad in new[] { "", "{", "[1,]", "{\"a\":1,\"a\":2}", "[1] x", "nul", "\"a", "[1 2]", new string('[', 100) })
                Refuses("x: expected JSON", () => Json.Parse(bad, "x"));
        }

        [Test]
        public void Folders_that_are_no_session_and_files_that_are_no_arrays_are_refused()
        {
            string folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
            Refuses("expected a session with session.json", () => new RecordedSession(folder));
            Directory.CreateDirectory(folder);
            try
            {
                File.WriteAllText(Path.Combine(folder, "session.json"), "{\"format_version\": 9}");
                Refuses("expected session format 1, got 9", () => new RecordedSession(folder));
                File.WriteAllText(Path.Combine(folder, "x.wav"), "no sound");
                Refuses("expected a WAV file", () => WaveFile.ReadMono(Path.Combine(folder, "x.wav"), out _));
            }
            finally
            {
                Directory.Delete(folder, true);
            }
            Refuses("expected a safetensors file", () => new SafeTensors(new byte[] { 255, 0, 0, 0, 0, 0, 0, 0 }, "x"));
            byte[] header = System.Text.Encoding.ASCII.GetBytes("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
            var file = new byte[8 + header.Length + 8];
            BitConverter.GetBytes((long)header.Length).CopyTo(file, 0);
            header.CopyTo(file, 8);
            Assert.AreEqual(2, new SafeTensors(file, "x").Floats("a", 2).Length);
            Refuses("x: a: expected F32 of 3", () => new SafeTensors(file, "x").Floats("a", 3));
            Refuses("x: a: expected F32 of 2", () => new SafeTensors(file.AsSpan(0, file.Length - 1).ToArray(), "x").Floats("a", 2));
        }
    }
}
