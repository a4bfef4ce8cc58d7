#nullable enable
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using GStalker.Protocol;

namespace GStalker.Transport
{
    /// <summary>A session folder as `gstalker record` writes it: the avatar, its frames as sent, its sound.</summary>
    public sealed class RecordedSession : IDisposable
    {
        private const int FormatVersion = 1;

        private readonly struct Entry
        {
            internal readonly long Index, Offset;
            internal readonly double TimeS;
            internal readonly Numbers Head, Torso;

            internal Entry(Json line)
            {
                Index = line["index"].Whole;
                Offset = line["offset"].Whole;
                TimeS = line["time_s"].Number;
                Head = new Numbers(line["avatar_from_head"].Numbers());
                Torso = new Numbers(line["avatar_from_torso"].Numbers());
            }
        }

        private readonly List<Entry> _entries = new List<Entry>();
        private readonly FileStream _frames;

        public readonly AvatarDescription Avatar;

        /// <summary>The sound as sent, and the presentation time of its first sample.</summary>
        public readonly short[] Sound = Array.Empty<short>();

        public readonly double SoundStartS;

        /// <exception cref="AvatarException">No session there, of another format version, or damaged.</exception>
        public RecordedSession(string folder)
        {
            string infoPath = Path.Combine(folder, "session.json");
            if (!File.Exists(infoPath))
                throw new AvatarException($"{folder}: expected a session with session.json, found none. Run `gstalker record` first.");
            Json info = Json.Parse(File.ReadAllText(infoPath), infoPath);
            long version = info["format_version"].Whole;
            if (version != FormatVersion)
                throw new AvatarException($"{infoPath}: expected session format {FormatVersion}, got {version}. Record it again.");
            try
            {
                Avatar = ReadAvatar(info, SafeTensors.Read(Path.Combine(folder, "canonical.safetensors")));
                Avatar.Check(infoPath);
                _frames = File.OpenRead(Path.Combine(folder, "frames_q16.bin"));
                ReadEntries(Path.Combine(folder, "frames.jsonl"));
            }
            catch (Exception error) when (error is IOException || error is ArgumentException || error is WireException)
            {
                throw new AvatarException($"{folder}: expected a sound session, could not read it ({error.Message}).");
            }
            string soundPath = Path.Combine(folder, "audio.jsonl");
            string[] pieces = File.Exists(soundPath) ? File.ReadAllLines(soundPath) : Array.Empty<string>();
            if (pieces.Length == 0)
                return;
            SoundStartS = Json.Parse(pieces[0], soundPath)["time_s"].Number;
            Sound = WaveFile.ReadMono(Path.Combine(folder, "audio.wav"), out _);
        }

        public int Count => _entries.Count;

        public double StartS => _entries[0].TimeS;

        public double EndS => _entries[Count - 1].TimeS;

        public long IndexOf(int place) => _entries[place].Index;

        /// <summary>Place of the newest frame whose time has come.</summary>
        public int PlaceAt(double timeS)
        {
            int low = 0, high = Count - 1;
            while (low < high)
            {
                int middle = (low + high + 1) / 2;
                if (_entries[middle].TimeS <= timeS)
                    low = middle;
                else
                    high = middle - 1;
            }
            return low;
        }

        /// <summary>Read a frame into a slot.</summary>
        public void Read(int place, FrameSlot slot)
        {
            Entry entry = _entries[place];
            (slot.Sequence, slot.Index, slot.TimeS) = (place, entry.Index, entry.TimeS);
            (slot.AvatarFromHead, slot.AvatarFromTorso) = (entry.Head, entry.Torso);
            slot.Version = place + 1;
            _frames.Position = entry.Offset;
            for (int got = 0, more = 1; got < slot.Movers.Length && more > 0; got += more)
                more = _frames.Read(slot.Movers, got, slot.Movers.Length - got);
        }

        public void Dispose() => _frames.Dispose();

        private static AvatarDescription ReadAvatar(Json info, SafeTensors arrays)
        {
            Json camera = info["camera"], box = info["box"];
            int count = (int)info["gaussian_count"].Whole;
            int width = (int)camera["width_px"].Whole, height = (int)camera["height_px"].Whole;
            return new AvatarDescription
            {
                Name = info["avatar_name"].Text,
                Subject = info["subject"].Text,
                Consent = info["consent"].Text,
                Licence = info["licence"].Text,
                Notice = info["notice"].Text,
                ServerVersion = info["server_version"].Text,
                BundleSha256 = info["bundle_sha256"].Text,
                FrameRateHz = (int)info["fps"].Whole,
                SoundRateHz = (int)info["audio_rate_hz"].Whole,
                LeadS = info["lead_s"].Number,
                GaussianCount = count,
                MoverCount = (int)info["mover_count"].Whole,
                WidthPx = width,
                HeightPx = height,
                CameraFromAvatar = new Numbers(camera["viewmat"].Numbers().AsSpan(0, Numbers.Most)),
                K = new Numbers(camera["K"].Numbers()),
                BoxMinM = new Numbers(box["position_min_m"].Numbers()),
                BoxMaxM = new Numbers(box["position_max_m"].Numbers()),
                BoxLogScaleMin = box["log_scale_min"].Number,
                BoxLogScaleMax = box["log_scale_max"].Number,
                Means = arrays.Floats("means", count, 3),
                QuatsWxyz = arrays.Floats("quats_wxyz", count, 4),
                Scales = arrays.Floats("scales", count, 3),
                Opacities = arrays.Floats("opacities", count),
                ShCoeffs = arrays.Floats("sh_coeffs", count, 1, 3),
                PartIds = arrays.Bytes("part_ids", count),
                Plate = arrays.Bytes("plate", height, width, 3),
            };
        }

        // A last line without its end, or a frame whose bytes are not all there, was being written when the recorder
        // was killed.
        private void ReadEntries(string path)
        {
            int size = Avatar.MoverCount * Wire.BytesPerMover;
            string text = File.ReadAllText(path, Encoding.UTF8);
            string[] lines = text.Split('\n');
            for (int i = 0; i < lines.Length - 1; i++)
            {
                Json line = Json.Parse(lines[i], $"{path}:{i + 1}");
                if (line["payload"].Text != "q16")
                    continue;
                var entry = new Entry(line);
                if (entry.Offset + size > _frames.Length)
                    break;
                if (Count > 0 && entry.Index <= _entries[Count - 1].Index)
                    throw new AvatarException($"{path}:{i + 1}: expected frames in order of index, got {entry.Index}.");
                _entries.Add(entry);
            }
            if (Count == 0)
                throw new AvatarException($"{path}: expected a session with frames, it holds none. Record it again.");
        }
    }
}
