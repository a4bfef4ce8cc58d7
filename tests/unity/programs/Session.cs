// Reads a recorded session and tells what is in it: Session.dll FOLDER TIME_S..., a JSON object a line, one for the
// whole and one for what would be shown at each time.
using System;
using System.Globalization;
using System.Linq;
using GStalker.Protocol;
using GStalker.Transport;

internal static class Session
{
    private static int Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var session = new RecordedSession(arguments[0]);
        AvatarDescription avatar = session.Avatar;
        Console.WriteLine($"{{\"name\": \"{avatar.Name}\", \"frames\": {session.Count}, \"gaussians\": {avatar.GaussianCount}, " +
            $"\"movers\": {avatar.MoverCount}, \"means\": {avatar.Means.Sum(v => (double)v):R}, " +
            $"\"plate\": {avatar.Plate.Sum(v => (long)v)}, \"depth_m\": {avatar.CameraFromAvatar[11]:R}, " +
            $"\"sound\": {session.Sound.Sum(v => (long)v)}, \"samples\": {session.Sound.Length}, " +
            $"\"sound_start_s\": {session.SoundStartS:R}}}");
        using var playback = new RecordedPlayback(session, false);
        foreach (double timeS in arguments.Skip(1).Select(double.Parse))
        {
            playback.PickAt(timeS, out PickedFrames picked);
            Mover mover = MoverCodes.Decode(picked.Earlier.Movers, avatar.MoverCount - 1, avatar.Box);
            Console.WriteLine($"{{\"earlier\": {picked.Earlier.Index}, \"later\": {picked.Later.Index}, " +
                $"\"weight\": {picked.Weight:R}, \"x\": {mover.X:R}, \"head\": {picked.Earlier.AvatarFromHead[1]:R}}}");
        }
        return 0;
    }
}
