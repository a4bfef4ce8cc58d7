#nullable enable
using System.Diagnostics;

namespace GStalker.Transport
{
    /// <summary>Seconds of this machine's own clock, which only goes forward; its zero means nothing.</summary>
    public static class SteadyClock
    {
        public static double NowS => Stopwatch.GetTimestamp() / (double)Stopwatch.Frequency;
    }
}
