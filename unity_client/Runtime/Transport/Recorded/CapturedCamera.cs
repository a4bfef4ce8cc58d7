#nullable enable
using System;
using System.Globalization;
using System.Linq;
using System.Text;

namespace GStalker.Transport
{
    /// <summary>
    /// A camera in the axes of docs/conventions.md (x right, y down, z forward), as Unity wants it and as a captured
    /// picture's JSON states it (runtime/session/captures.py).
    /// </summary>
    public sealed class CapturedCamera
    {
        private const int FormatVersion = 1;

        /// <summary>4 x 4 camera_from_avatar and 3 x 3 intrinsics in px, row by row.</summary>
        public readonly double[] Viewmat, K;

        public readonly int WidthPx, HeightPx;

        public CapturedCamera(double[] viewmat, double[] k, int widthPx, int heightPx)
        {
            Viewmat = viewmat;
            K = k;
            WidthPx = widthPx;
            HeightPx = heightPx;
        }

        /// <summary>The bundle's own camera.</summary>
        public static CapturedCamera Of(AvatarDescription avatar)
        {
            var viewmat = new double[16];
            for (int i = 0; i < 12; i++)
                viewmat[i] = avatar.CameraFromAvatar[i];
            viewmat[15] = 1;
            var k = new double[9];
            for (int i = 0; i < 9; i++)
                k[i] = avatar.K[i];
            return new CapturedCamera(viewmat, k, avatar.WidthPx, avatar.HeightPx);
        }

        /// <summary>The avatar moved in the camera's axes by so many times its distance.</summary>
        public CapturedCamera Moved(double x, double y, double z)
        {
            var viewmat = (double[])Viewmat.Clone();
            double distance = Viewmat[11];
            viewmat[3] += x * distance;
            viewmat[7] += y * distance;
            viewmat[11] += z * distance;
            return new CapturedCamera(viewmat, K, WidthPx, HeightPx);
        }

        /// <summary>About the avatar's vertical axis.</summary>
        public CapturedCamera Turned(double radians)
        {
            double c = Math.Cos(radians), s = Math.Sin(radians);
            double[] turn = { c, 0, s, 0, 0, 1, 0, 0, -s, 0, c, 0, 0, 0, 0, 1 };
            return new CapturedCamera(Multiply(Viewmat, turn), K, WidthPx, HeightPx);
        }

        /// <summary>With the principal point moved by a share of the picture, as an eye of a headset has it.</summary>
        public CapturedCamera Shifted(double x, double y)
        {
            var k = (double[])K.Clone();
            k[2] += x * WidthPx;
            k[5] += y * HeightPx;
            return new CapturedCamera(Viewmat, k, WidthPx, HeightPx);
        }

        /// <summary>Camera.worldToCameraMatrix where the avatar's object is at the world's origin: Unity's world has y up,
        /// its view space y up and z backward.</summary>
        public double[] UnityViewFromWorld()
        {
            double[] viewFromCamera = { 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1 };
            double[] avatarFromWorld = { 1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1 };
            return Multiply(Multiply(viewFromCamera, Viewmat), avatarFromWorld);
        }

        /// <summary>Camera.projectionMatrix, whose clip depth runs from -1 to 1 on every device.</summary>
        public double[] UnityProjection(double nearM, double farM)
        {
            double fx = K[0], fy = K[4], cx = K[2], cy = K[5];
            return new[]
            {
                2 * fx / WidthPx, 0, 1 - 2 * cx / WidthPx, 0,
                0, 2 * fy / HeightPx, 2 * cy / HeightPx - 1, 0,
                0, 0, -(farM + nearM) / (farM - nearM), -2 * farM * nearM / (farM - nearM),
                0, 0, -1, 0,
            };
        }

        /// <summary>The JSON beside a picture.</summary>
        public string ToJson(long frameIndex, string drawnBy, double[] backgroundRgb)
        {
            string quoted = drawnBy.Replace("\\", "\\\\").Replace("\"", "\\\"");
            return "{\"format_version\": " + FormatVersion + ", \"frame_index\": " + frameIndex.ToString(CultureInfo.InvariantCulture) +
                $", \"drawn_by\": \"{quoted}\", \"background_rgb\": {List(backgroundRgb)},\n \"camera\": {{\"viewmat\": " +
                $"{Rows(Viewmat, 4)}, \"K\": {Rows(K, 3)}, \"width_px\": {WidthPx}, \"height_px\": {HeightPx}}}}}\n";
        }

        private static double[] Multiply(double[] a, double[] b)
        {
            var product = new double[16];
            for (int i = 0; i < 16; i++)
            {
                for (int k = 0; k < 4; k++)
                    product[i] += a[i / 4 * 4 + k] * b[4 * k + i % 4];
            }
            return product;
        }

        private static string Rows(double[] values, int width)
        {
            var text = new StringBuilder("[");
            for (int row = 0; row < values.Length / width; row++)
                text.Append(row > 0 ? ", " : "").Append(List(values.Skip(row * width).Take(width).ToArray()));
            return text.Append(']').ToString();
        }

        private static string List(double[] values) =>
            "[" + string.Join(", ", values.Select(v => v.ToString("R", CultureInfo.InvariantCulture))) + "]";
    }
}
