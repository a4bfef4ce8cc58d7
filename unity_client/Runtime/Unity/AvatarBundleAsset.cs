#nullable enable
using System;
using GStalker.Transport;
using UnityEngine;

namespace GStalker.Unity
{
    /// <summary>An imported NAME.gsavatar: what it says about itself. The bundle stays a file; on-device mode reads it.</summary>
    public sealed class AvatarBundleAsset : ScriptableObject
    {
        public string AvatarName = "", Subject = "", Consent = "", Licence = "", Notice = "";
        public int GaussianCount, MoverCount;
        public string[] ControlNames = Array.Empty<string>();
        public Texture2D? Thumbnail;

        /// <summary>Why the file could not be read; empty where it could.</summary>
        public string Trouble = "";

        public void Fill(BundleFile bundle)
        {
            AvatarDescription avatar = new AvatarBundle(bundle).Avatar;
            (AvatarName, Subject, Consent) = (avatar.Name, avatar.Subject, avatar.Consent);
            (Licence, Notice, ControlNames) = (avatar.Licence, avatar.Notice, avatar.ControlNames);
            (GaussianCount, MoverCount) = (avatar.GaussianCount, avatar.MoverCount);
        }
    }
}
