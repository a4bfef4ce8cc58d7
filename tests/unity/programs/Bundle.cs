// Reads a bundle and tells what a device would make of it: Bundle.dll BUNDLE SPEECH.f32 OUT. Writes into OUT, as raw
// little-endian values: mel.f32, the features of the speech; means.f32 and so on, the canonical Gaussians; movers.bin,
// the golden rows' deltas packed; prints a JSON object.
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using GStalker.Protocol;
using GStalker.Transport;

internal static class Bundle
{
    private static int Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        BundleFile file;
        try
        {
            file = BundleFile.Open(arguments[0]);
        }
        catch (AvatarException error)
        {
            Console.WriteLine(error.Message);
            return 2;
        }
        var bundle = new AvatarBundle(file);
        AvatarDescription avatar = bundle.Avatar;
        Write(arguments[2], "means", avatar.Means);
        Write(arguments[2], "quats_wxyz", avatar.QuatsWxyz);
        Write(arguments[2], "scales", avatar.Scales);
        Write(arguments[2], "opacities", avatar.Opacities);
        Write(arguments[2], "sh_coeffs", avatar.ShCoeffs);

        float[] speech = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(arguments[1])).ToArray();
        var logMel = new LogMel();
        int rows = (speech.Length + LogMel.Hop - 1) / LogMel.Hop;
        var padded = new float[rows * LogMel.Hop + LogMel.Window];
        speech.CopyTo(padded, LogMel.Window / 2);
        var mel = new float[rows * LogMel.Bands];
        for (int row = 0; row < rows; row++)
            logMel.Compute(padded.AsSpan(row * LogMel.Hop, LogMel.Window), mel.AsSpan(row * LogMel.Bands, LogMel.Bands));
        Write(arguments[2], "mel", mel);

        using var networks = new GoldenNetworks(file, bundle);
        var packer = new MoverPacker(bundle);
        var movers = new byte[avatar.MoverCount * Wire.BytesPerMover];
        int outside = packer.Pack(networks.Deltas, networks.TorsoDeltas, movers);
        File.WriteAllBytes(Path.Combine(arguments[2], "movers.bin"), movers);

        var device = new OnDeviceAvatar(bundle, networks, 0);
        double beginsS = device.Say(speech);
        for (double nowS = 0; nowS < 3; nowS += 0.011)
        {
            device.Step(nowS, 2);
            if (device.TryPick(nowS, out PickedFrames picked, out _))
                device.GiveBack(picked);
        }
        Console.WriteLine($"{{\"outside\": {outside}, \"begins_s\": {beginsS}, \"heard\": {networks.Heard}, " +
            $"\"idle\": [{string.Join(", ", Enumerable.Range(0, 100).Select(i => bundle.IdleFrameOf(i)))}], " +
            $"\"pose\": [{string.Join(", ", networks.HeadPose.Select(v => v.ToString("R")))}], \"silence\": {LogMel.Silence:R}}}");
        return 0;
    }

    private static void Write(string folder, string name, float[] values) =>
        File.WriteAllBytes(Path.Combine(folder, name + ".f32"), MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    // Answers with the golden outputs' first row, whatever it is asked, and remembers what that was.
    private sealed class GoldenNetworks : IFieldNetworks
    {
        internal readonly float[] Deltas, TorsoDeltas, HeadPose = new float[6];
        internal int Heard;

        internal GoldenNetworks(BundleFile file, AvatarBundle bundle)
        {
            var golden = new SafeTensors(file.Read("golden/output.safetensors"), "golden/output.safetensors");
            int rows = golden.Shape("deltas")[0];
            Deltas = golden.Floats("deltas", rows, bundle.HeadMovers, 11).Take(11 * bundle.HeadMovers).ToArray();
            TorsoDeltas = golden.Floats("torso_deltas", rows, bundle.TorsoMovers, 3).Take(3 * bundle.TorsoMovers).ToArray();
        }

        public void Hear(float[] melWindow, float[] code) => Heard++;

        public void Deform(float[] code, float[] expression, float[] deltas) => Deltas.CopyTo(deltas, 0);

        public void MoveTorso(float[] headPose, float[] rigid, float[] deltas)
        {
            headPose.CopyTo(HeadPose, 0);
            TorsoDeltas.CopyTo(deltas, 0);
        }

        public void Dispose()
        {
        }
    }
}
