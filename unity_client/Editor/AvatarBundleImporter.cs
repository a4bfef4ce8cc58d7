#nullable enable
using GStalker.Transport;
using GStalker.Unity;
using UnityEditor.AssetImporters;
using UnityEngine;

namespace GStalker.Editor
{
    /// <summary>NAME.gsavatar, a zip that `gstalker export` wrote, as an asset with its thumbnail.</summary>
    [ScriptedImporter(1, "gsavatar")]
    public sealed class AvatarBundleImporter : ScriptedImporter
    {
        public override void OnImportAsset(AssetImportContext ctx)
        {
            var asset = ScriptableObject.CreateInstance<AvatarBundleAsset>();
            Texture2D? thumbnail = null;
            try
            {
                BundleFile bundle = BundleFile.Open(ctx.assetPath);
                asset.Fill(bundle);
                thumbnail = new Texture2D(2, 2, TextureFormat.RGB24, false);
                thumbnail.LoadImage(bundle.Read("thumbnail.png"));
                thumbnail.name = "Thumbnail";
                ctx.AddObjectToAsset("thumbnail", thumbnail);
                asset.Thumbnail = thumbnail;
            }
            catch (AvatarException error)
            {
                ctx.LogImportError(error.Message, asset);
                asset.Trouble = error.Message;
            }
            ctx.AddObjectToAsset("avatar", asset, thumbnail);
            ctx.SetMainObject(asset);
        }
    }
}
