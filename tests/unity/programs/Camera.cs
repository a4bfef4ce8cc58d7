// The JSON and Unity's matrices of a capture's camera: Camera.dll OUT FX CX CY SIZE_X SIZE_Y DEPTH; a JSON object with the
// matrices, and one capture's JSON file.
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using GStalker.Transport;

internal static class Camera
{
    private static int Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        double[] v = arguments.Skip(1).Select(double.Parse).ToArray();
        double[] k = { v[0], 0, v[1], 0, v[0], v[2], 0, 0, 1 };
        var viewmat = new double[] { 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, v[5], 0, 0, 0, 1 };
        CapturedCamera camera = new CapturedCamera(viewmat, k, (int)v[3], (int)v[4]).Turned(0.5).Shifted(0.2, 0.1);
        File.WriteAllText(arguments[0], camera.ToJson(7, "a \"test\"", new[] { 0.25, 0.5, 0.75 }));
        Console.WriteLine($"{{\"view\": [{List(camera.UnityViewFromWorld())}], \"projection\": [{List(camera.UnityProjection(0.1f, 100f))}]}}");
        return 0;
    }

    private static string List(double[] values) => string.Join(", ", values.Select(n => n.ToString("R")));
}
