#nullable enable
using GStalker.Transport;
using GStalker.Unity;
using UnityEditor;
using UnityEngine;

namespace GStalker.Editor
{
    /// <summary>The component's fields, and below them how it fares while the scene plays.</summary>
    [CustomEditor(typeof(GaussianAvatar))]
    public sealed class GaussianAvatarInspector : UnityEditor.Editor
    {
        private string _emotion = "";

        public override bool RequiresConstantRepaint() => Application.isPlaying;

        public override void OnInspectorGUI()
        {
            DrawDefaultInspector();
            var avatar = (GaussianAvatar)target;
            if (avatar.Trouble.Length > 0)
                EditorGUILayout.HelpBox(avatar.Trouble, MessageType.Warning);
            AvatarDescription? shown = avatar.Avatar;
            if (shown == null)
                return;
            EditorGUILayout.LabelField("Avatar", $"{shown.Name} ({shown.Subject})");
            EditorGUILayout.LabelField("Gaussians", $"{shown.GaussianCount:N0}, of which {shown.MoverCount:N0} move");
            if (avatar.State == ConnectionState.Connected)
                ShowConnection(avatar, shown);
        }

        private void ShowConnection(GaussianAvatar avatar, AvatarDescription shown)
        {
            ConnectionCounts counts = avatar.Counts;
            EditorGUILayout.LabelField("Connection", $"{counts.Messages:N0} messages, {counts.AudioLost} pieces of sound lost, {counts.Losses} losses");
            if (shown.CanPlay && GUILayout.Button("Play the server's sound"))
                avatar.PlayServerSound();
            if (GUILayout.Button("Stop"))
                avatar.Stop();
            foreach (string emotion in shown.EmotionNames)
            {
                if (GUILayout.Button(emotion))
                    avatar.SetEmotion(_emotion == emotion ? _emotion = "" : _emotion = emotion);
            }
        }
    }
}
