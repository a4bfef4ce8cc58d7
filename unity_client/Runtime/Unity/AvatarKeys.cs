#nullable enable
using System;
using System.IO;
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>Where the keys for servers on other machines are. The secret one is a path, never its content: assets
    /// end up in repositories and builds.</summary>
    [CreateAssetMenu(menuName = "GStalker/Avatar Keys")]
    public sealed class AvatarKeys : ScriptableObject
    {
        [SerializeField, Tooltip("NAME.secret.json of `gstalker keys new`, outside of the project. ~ is the home folder.")]
        private string ownSecretFile = "";

        [SerializeField, Tooltip("The server's NAME.public.json.")] private TextAsset? serverPublicKey;

        /// <exception cref="AvatarException">A file is missing, or is no key.</exception>
        public CurveKeys Load()
        {
            string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            string path = ownSecretFile.StartsWith("~", StringComparison.Ordinal) ? home + ownSecretFile.Substring(1) : ownSecretFile;
            if (!File.Exists(path) || serverPublicKey == null)
            {
                throw new AvatarException(
                    $"{name}: expected this client's secret key file and the server's public key, got \"{path}\" and " +
                    $"{(serverPublicKey == null ? "none" : serverPublicKey.name)}. `gstalker keys new NAME` makes keys.");
            }
            return CurveKeys.FromFiles(File.ReadAllText(path), serverPublicKey.text);
        }
    }
}
