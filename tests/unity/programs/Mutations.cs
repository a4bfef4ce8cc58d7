// Damages sound messages in every way a wire can, a given number of times, and decodes each: Mutations.dll FOLDER COUNT
// SEED. Nothing but a decoded message or a stated fault may come of it; what decodes is also read to its last byte.
using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using GStalker.Protocol;
using GStalker.Transport;

internal static class Mutations
{
    private static int Main(string[] arguments)
    {
        byte[][] sound = Directory.GetFiles(arguments[0], $"*_v{Wire.WireVersion}.bin").OrderBy(f => f).Select(File.ReadAllBytes).ToArray();
        int count = int.Parse(arguments[1]);
        var random = new Random(int.Parse(arguments[2]));
        var decoder = new MessageDecoder();
        var frames = new FrameBuffer(8, 3);
        var faults = new long[Enum.GetValues(typeof(WireFaultKind)).Length];
        var buffer = new byte[sound.Max(m => m.Length) + 64];
        var watch = Stopwatch.StartNew();
        long garbage = GC.GetAllocatedBytesForCurrentThread(), read = 0, texts = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] message = sound[random.Next(sound.Length)];
            int length = Damage(message, sound[random.Next(sound.Length)], buffer, random);
            var bytes = new ReadOnlySpan<byte>(buffer, 0, length);
            if (decoder.TryDecode(bytes, out MessageKind kind, out WireFault fault))
                read += ReadAll(decoder, kind, bytes, frames);
            faults[(int)fault.Kind]++;
            if (i % 1000 == 0)
                texts += fault.ToString().Length; // the words must not fail either; they may make garbage
        }
        garbage = GC.GetAllocatedBytesForCurrentThread() - garbage;
        string kinds = string.Join(", ", faults.Select((n, k) => $"\"{(WireFaultKind)k}\": {n}"));
        Console.WriteLine($"{{\"count\": {count}, \"seconds\": {watch.Elapsed.TotalSeconds:0.00}, \"garbage_per_message\": " +
            $"{garbage / (double)count:0.00}, \"read\": {read}, \"texts\": {texts}, \"faults\": {{{kinds}}}}}");
        return 0;
    }

    private static int Damage(byte[] message, byte[] other, byte[] buffer, Random random)
    {
        Array.Copy(message, buffer, message.Length);
        int length = message.Length;
        for (int hits = 1 + random.Next(3); hits > 0; hits--)
        {
            // Half of the hits fall where the structure is, not in the payload.
            int reach = random.Next(2) == 0 ? Math.Min(length, 512) : length;
            int at = random.Next(Math.Max(1, reach));
            switch (random.Next(7))
            {
                case 0: buffer[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: buffer[at] = (byte)random.Next(256); break;
                case 2: length = Math.Max(0, random.Next(length + 1)); break;
                case 3: length = Math.Min(buffer.Length, length + random.Next(64)); break;
                case 4: BitConverter.GetBytes(random.Next() << random.Next(2)).CopyTo(buffer, Math.Min(at, buffer.Length - 4)); break;
                case 5: buffer.AsSpan(at, Math.Min(8, length - at)).Fill((byte)(random.Next(2) * 255)); break;
                default: // a piece of another message
                    int size = Math.Min(random.Next(1, 64), Math.Min(other.Length, buffer.Length - at));
                    Array.Copy(other, random.Next(other.Length - size + 1), buffer, at, size);
                    break;
            }
            length = Math.Max(1, length);
        }
        return length;
    }

    private static long ReadAll(MessageDecoder decoder, MessageKind kind, ReadOnlySpan<byte> bytes, FrameBuffer frames)
    {
        switch (kind)
        {
            case MessageKind.FrameQ16:
                var frame = new FrameQ16(decoder, bytes);
                if (frame.MoverCount == 3)
                    frames.Put(frame);
                if (frames.TryPick(frame.TimeS, out PickedFrames picked))
                    frames.GiveBack(picked);
                return frame.Movers.Length;
            case MessageKind.Audio:
                return new Audio(decoder, bytes).Pcm.Length;
            case MessageKind.Welcome:
                var welcome = new Welcome(decoder, bytes);
                return welcome.Means.Length + welcome.Plate.Length + welcome.ControlNames.Count;
            default:
                return 1;
        }
    }
}
