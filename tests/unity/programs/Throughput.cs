// Receives frames from a publisher and counts, through the very path a game uses short of drawing: libzmq, decoder,
// jitter buffer. Throughput.dll ADDRESS SECONDS; the server sends as it likes. One JSON object at the end.
using System;
using System.Diagnostics;
using GStalker.Protocol;
using GStalker.Transport;

internal static class Throughput
{
    private static int Main(string[] arguments)
    {
        double seconds = double.Parse(arguments[1]);
        using var transport = new ZmqTransport(Address.Parse(arguments[0]));
        var session = new AvatarSession(transport, new SessionOptions { ClientName = "throughput" }, happened =>
        {
            if (happened.Kind != AvatarEventKind.Connected)
                Console.Error.WriteLine($"{happened.Kind} {happened.Text}");
        });
        while (session.State != ConnectionState.Connected || session.Playout.Frames.Counts.Received == 0)
            session.Step(5);
        Run(session, 2); // what is compiled and made once
        FrameCounts before = session.Playout.Frames.Counts;
        long garbage = GC.GetAllocatedBytesForCurrentThread();
        int collections = GC.CollectionCount(0);
        var watch = Stopwatch.StartNew();
        Run(session, seconds);
        double elapsedS = watch.Elapsed.TotalSeconds;
        garbage = GC.GetAllocatedBytesForCurrentThread() - garbage;
        FrameCounts after = session.Playout.Frames.Counts;
        long frames = after.Received - before.Received;
        Console.WriteLine($"{{\"seconds\": {elapsedS:0.000}, \"frames\": {frames}, \"frames_per_second\": {frames / elapsedS:0.0}, " +
            $"\"garbage_per_frame\": {garbage / (double)Math.Max(1, frames):0.0}, \"collections\": {GC.CollectionCount(0) - collections}, " +
            $"\"received\": {after.Received}, \"accounted\": {after.Accounted}, \"lost\": {after.Lost}, " +
            $"\"shown\": {after.Shown}, \"passed_over\": {after.PassedOver}, \"late\": {after.Late}, " +
            $"\"damaged\": {session.Counts.DamagedMessages}, \"losses\": {session.Counts.Losses}, " +
            $"\"megabytes\": {Process.GetCurrentProcess().WorkingSet64 / 1048576}}}");
        return 0;
    }

    // Frames are taken as they come, and one picked for a picture every 11 ms.
    private static void Run(AvatarSession session, double seconds)
    {
        double endS = SteadyClock.NowS + seconds, nextPictureS = 0;
        while (SteadyClock.NowS < endS)
        {
            session.Step(5);
            if (SteadyClock.NowS < nextPictureS)
                continue;
            nextPictureS = SteadyClock.NowS + 0.011;
            if (session.Playout.TryPick(SteadyClock.NowS, out PickedFrames picked, out _))
                session.Playout.GiveBack(picked);
        }
    }
}
