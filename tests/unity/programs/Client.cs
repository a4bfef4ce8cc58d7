// A client without an engine, for tests of the connection: Client.dll ADDRESS, and for keys either SERVER_KEY OWN_KEY
// OWN_SECRET or OWN_SECRET_FILE SERVER_PUBLIC_FILE.
// Takes commands line by line (say SECONDS, stop, emotion NAME, counts, quit); prints a JSON object a line.
using System;
using System.Globalization;
using System.IO;
using System.Threading;
using GStalker.Transport;

internal static class Client
{
    private static int Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        CurveKeys keys = arguments.Length switch
        {
            4 => new CurveKeys(arguments[1], arguments[2], arguments[3]),
            3 => CurveKeys.FromFiles(File.ReadAllText(arguments[1]), File.ReadAllText(arguments[2])),
            _ => null,
        };
        var options = new SessionOptions { ClientName = "tests", IsPrivate = false };
        using AvatarConnection connection = AvatarConnection.Open(arguments[0], options, keys);
        bool quit = false;
        var shower = new Thread(() => Show(connection, ref quit));
        shower.Start();
        for (string line = Console.ReadLine(); line != null && line != "quit"; line = Console.ReadLine())
            Obey(connection, line.Split(' '));
        Volatile.Write(ref quit, true);
        shower.Join();
        PrintCounts(connection);
        return 0;
    }

    private static void Obey(AvatarConnection connection, string[] words)
    {
        switch (words[0])
        {
            case "say":
                Say(connection, double.Parse(words[1]));
                break;
            case "stop":
                connection.Stop();
                break;
            case "emotion":
                connection.SetEmotion(words[1], 1, 0.25);
                break;
            case "counts":
                PrintCounts(connection);
                break;
        }
    }

    private static void Say(AvatarConnection connection, double seconds)
    {
        var samples = new float[(int)(48000 * seconds)];
        for (int i = 0; i < samples.Length; i++)
            samples[i] = 0.3f * MathF.Sin(i * 2 * MathF.PI * 220 / 48000) * (0.5f + 0.5f * MathF.Sin(i * 2 * MathF.PI * 4 / 48000));
        var utterance = new Utterance(48000, 1, false);
        utterance.Append(samples);
        utterance.Complete();
        connection.Say(utterance);
    }

    // A display at 90 Hz, and a sound device of 512 samples at 48 kHz.
    private static void Show(AvatarConnection connection, ref bool quit)
    {
        var block = new float[512];
        double nextBlockS = SteadyClock.NowS, worstOffS = 0, lastS = double.NegativeInfinity;
        Playout shown = null;
        long pictures = 0, mixed = 0, backwards = 0, sounding = 0;
        while (!Volatile.Read(ref quit))
        {
            while (connection.TryTakeEvent(out AvatarEvent happened))
                Print($"\"event\": \"{happened.Kind}\", \"code\": \"{happened.Code}\", \"time_s\": {happened.TimeS}, " +
                    $"\"cut\": {(happened.IsCut ? "true" : "false")}, \"text\": \"{Escaped(happened.Text)}\"");
            Playout playout = connection.Playout;
            if (!ReferenceEquals(playout, shown))
                (shown, lastS) = (playout, double.NegativeInfinity);
            for (double nowS = SteadyClock.NowS; nextBlockS <= nowS; nextBlockS += 512 / 48000.0)
            {
                playout?.Player.Fill(block, 48000, nextBlockS + 0.02, playout.TargetS(nextBlockS + 0.02));
                sounding += playout != null && playout.Player.IsSounding ? 1 : 0;
            }
            if (playout != null && playout.TryPick(SteadyClock.NowS, out PickedFrames picked, out double timeS))
            {
                pictures++;
                mixed += picked.Weight > 0 ? 1 : 0;
                backwards += timeS < lastS ? 1 : 0;
                lastS = timeS;
                double offS = timeS - (picked.Earlier.TimeS + picked.Weight * (picked.Later.TimeS - picked.Earlier.TimeS));
                worstOffS = Math.Max(worstOffS, Math.Abs(offS));
                playout.GiveBack(picked);
            }
            Thread.Sleep(11);
        }
        Print($"\"pictures\": {pictures}, \"mixed\": {mixed}, \"backwards\": {backwards}, \"sounding_blocks\": {sounding}, " +
            $"\"worst_off_s\": {worstOffS}");
    }

    private static void PrintCounts(AvatarConnection connection)
    {
        ConnectionCounts c = connection.Counts;
        FrameCounts f = connection.Playout?.Frames.Counts ?? default;
        Playout playout = connection.Playout;
        Print($"\"state\": \"{connection.State}\", \"messages\": {c.Messages}, \"damaged\": {c.DamagedMessages}, " +
            $"\"welcomes\": {c.Welcomes}, \"losses\": {c.Losses}, \"audio\": {c.AudioMessages}, \"audio_lost\": {c.AudioLost}, " +
            $"\"received\": {f.Received}, \"shown\": {f.Shown}, \"passed_over\": {f.PassedOver}, \"late\": {f.Late}, " +
            $"\"superseded\": {f.Superseded}, \"repeated\": {f.Repeated}, \"lost\": {f.Lost}, " +
            $"\"waiting\": {f.Waiting}, \"delay_s\": {playout?.DelayS ?? 0}, " +
            $"\"clock_off_s\": {Math.Min(1, playout?.ClockUncertaintyS(SteadyClock.NowS) ?? 1)}, " +
            $"\"skips\": {playout?.Player.Skips ?? 0}, \"late_samples\": {playout?.Sound.LateSamples ?? 0}");
    }

    private static void Print(string fields)
    {
        lock (Console.Out)
        {
            Console.WriteLine("{" + fields + "}");
            Console.Out.Flush();
        }
    }

    private static string Escaped(string text) => text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");
}
