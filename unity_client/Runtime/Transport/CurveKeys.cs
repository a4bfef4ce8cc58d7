#nullable enable
using System;

namespace GStalker.Transport
{
    /// <summary>What a client needs to reach a server on another machine: its own pair, and who the server is.</summary>
    public sealed class CurveKeys
    {
        /// <summary>Characters of a key in Z85.</summary>
        public const int KeyChars = 40;

        private const string Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

        public readonly string ServerPublic;
        public readonly string OwnPublic;
        internal readonly string OwnSecret;

        /// <exception cref="AvatarException">One is no key; the secret one is never shown.</exception>
        public CurveKeys(string serverPublic, string ownPublic, string ownSecret)
        {
            ServerPublic = Checked(serverPublic, "the server's public key", true);
            OwnPublic = Checked(ownPublic, "this client's public key", true);
            OwnSecret = Checked(ownSecret, "this client's secret key", false);
        }

        /// <summary>Read the two files that `gstalker keys new NAME` writes, and the server's public one.</summary>
        /// <param name="ownSecretJson">Text of NAME.secret.json.</param>
        /// <param name="serverPublicJson">Text of the server's NAME.public.json.</param>
        /// <exception cref="AvatarException">One is no key file.</exception>
        public static CurveKeys FromFiles(string ownSecretJson, string serverPublicJson)
        {
            Json own = ReadKeyFile(ownSecretJson, "this client's secret key file");
            Json server = ReadKeyFile(serverPublicJson, "the server's public key file");
            return new CurveKeys(server["public_key"].Text, own["public_key"].Text, own["secret_key"].Text);
        }

        private static Json ReadKeyFile(string text, string what)
        {
            Json json = Json.Parse(text, what);
            string format = json.Has("format") ? json["format"].Text : "none";
            if (format != "gstalker key 1")
                throw new AvatarException($"{what}: expected the format gstalker key 1, got {format}.");
            return json;
        }

        private static string Checked(string key, string what, bool show)
        {
            bool sound = key != null && key.Length == KeyChars;
            for (int i = 0; sound && i < KeyChars; i++)
                sound = Z85.IndexOf(key![i]) >= 0;
            if (!sound)
            {
                string got = show && key != null ? $"\"{key}\"" : "another text";
                throw new AvatarException($"{what}: expected {KeyChars} characters of Z85, got {got}.");
            }
            return key!;
        }

        public override string ToString() => $"keys of {OwnPublic} for {ServerPublic}";
    }
}
