#nullable enable
using System;
using System.Globalization;
using System.IO;
using GStalker.Protocol;
using GStalker.Transport;
using GStalker.Unity;
using UnityEditor;
using UnityEngine;

namespace GStalker.Editor
{
    /// <summary>
    /// Draws a recorded session with this engine, into pictures that `gstalker validate SESSION` compares with the
    /// reference renderer. From the menu, or without a window:
    ///   Unity -batchmode -projectPath . -executeMethod GStalker.Editor.ValidationCapture.Run -session FOLDER -every 25
    /// </summary>
    public static class ValidationCapture
    {
        private const int DefaultEvery = 25;

        [MenuItem("Tools/GStalker/Capture a recorded session for validation...")]
        private static void FromMenu()
        {
            string folder = EditorUtility.OpenFolderPanel("Session that `gstalker record` wrote", "", "");
            if (folder.Length == 0)
                return;
            try
            {
                int count = Capture(folder, DefaultEvery);
                EditorUtility.DisplayDialog("GStalker", $"{count} pictures written. Now run: gstalker validate {folder}", "OK");
            }
            catch (AvatarException error)
            {
                EditorUtility.DisplayDialog("GStalker", error.Message, "OK");
            }
        }

        /// <summary>For -executeMethod: ends the editor with 0, or 2 on bad input.</summary>
        public static void Run()
        {
            try
            {
                string every = Argument("-every");
                int step = every.Length == 0 ? DefaultEvery : int.Parse(every, CultureInfo.InvariantCulture);
                Console.WriteLine($"{Capture(Argument("-session"), Math.Max(1, step))} pictures written");
                EditorApplication.Exit(0);
            }
            catch (Exception error) when (error is AvatarException || error is FormatException)
            {
                Console.WriteLine(error.Message);
                EditorApplication.Exit(2);
            }
        }

        /// <summary>Draw every n-th frame at each of the fixed cameras; returns how many pictures were written.</summary>
        public static int Capture(string sessionFolder, int every)
        {
            string pictures = Path.Combine(sessionFolder, "pictures");
            var root = new GameObject("GStalker capture") { hideFlags = HideFlags.HideAndDontSave };
            try
            {
                var session = new RecordedSession(sessionFolder);
                Directory.CreateDirectory(pictures);
                GaussianAvatar avatar = root.AddComponent<GaussianAvatar>();
                avatar.Quality = SplatQuality.Full;
                var recording = new RecordedPlayback(session, false);
                Camera camera = CaptureCamera.Create(root);
                int written = 0;
                for (int place = 0; place < session.Count; place += every)
                {
                    avatar.ShowExactly(recording, TimeOf(session, place));
                    foreach (CaptureCamera.View view in CaptureCamera.Views(session.Avatar))
                    {
                        string name = $"frame_{session.IndexOf(place):D6}_{view.Name}";
                        CaptureCamera.Write(camera, view, session.IndexOf(place), Path.Combine(pictures, name));
                        written++;
                    }
                }
                return written;
            }
            finally
            {
                UnityEngine.Object.DestroyImmediate(root);
            }
        }

        private static double TimeOf(RecordedSession session, int place) =>
            session.IndexOf(place) / (double)session.Avatar.FrameRateHz;

        private static string Argument(string name)
        {
            string[] arguments = Environment.GetCommandLineArgs();
            int at = Array.IndexOf(arguments, name);
            return at >= 0 && at + 1 < arguments.Length ? arguments[at + 1] : "";
        }
    }
}
