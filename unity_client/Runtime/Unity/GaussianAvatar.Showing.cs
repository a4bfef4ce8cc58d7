#nullable enable
using GStalker.Transport;
using UnityEngine;
using UnityEngine.Rendering;

namespace GStalker.Unity
{
    // From frames to what the pipelines draw.
    public sealed partial class GaussianAvatar
    {
        /// <summary>Show the frame of an exact presentation time, as captures do.</summary>
        public void ShowExactly(RecordedPlayback recording, double timeS)
        {
            _playback = recording;
            recording.PickAt(timeS, out PickedFrames picked);
            ShowPicked(recording, picked, timeS);
        }

        private void ShowAt(IAvatarPlayback playback, double seenAtS)
        {
            if (!playback.TryPick(seenAtS, out PickedFrames picked, out double timeS))
                return;
            try
            {
                ShowPicked(playback, picked, timeS);
            }
            finally
            {
                playback.GiveBack(picked);
            }
        }

        private void ShowPicked(IAvatarPlayback playback, in PickedFrames picked, double timeS)
        {
            if (_renderer == null || !ReferenceEquals(_renderer.Avatar, playback.Avatar))
            {
                _renderer?.Dispose();
                _renderer = null;
                _renderer = new SplatRenderer(playback.Avatar);
            }
            _commands ??= new CommandBuffer { name = "GStalker frame" };
            _commands.Clear();
            _renderer.Show(_commands, picked);
            Graphics.ExecuteCommandBuffer(_commands);
            ShownTimeS = timeS;
        }

        internal void Project(CommandBuffer commands, in CameraView view) =>
            _renderer!.Project(commands, view, transform.localToWorldMatrix, quality);

        internal void Draw(CommandBuffer commands, Material material, int pass, in CameraView view)
        {
            for (int eye = 0; eye < (view.IsEyeArray ? 1 : view.EyeCount); eye++)
                _renderer!.Draw(commands, material, pass, view, eye, quality.Corners);
        }
    }
}
