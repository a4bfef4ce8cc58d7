using GStalker.Unity;
using UnityEngine;

/// <summary>Put this on an empty object at eye height, press Play, hold Space to talk.</summary>
[RequireComponent(typeof(GaussianAvatar), typeof(AvatarAudio), typeof(AvatarMicrophone))]
public sealed class TalkingAvatarDemo : MonoBehaviour
{
    private const float LookEveryS = 0.2f;

    [SerializeField] private AudioClip line;

    private GaussianAvatar _avatar;
    private AvatarMicrophone _microphone;
    private float _lookedAtS;

    private void Start()
    {
        _avatar = GetComponent<GaussianAvatar>();
        _microphone = GetComponent<AvatarMicrophone>();
        _avatar.Events.Connected.AddListener(() => Debug.Log($"{_avatar.Avatar.Name}: {_avatar.Avatar.Notice}"));
    }

    private void Update()
    {
        if (_avatar.State != GStalker.Transport.ConnectionState.Connected)
            return;
        _microphone.Speaking = Input.GetKey(KeyCode.Space);
        if (line != null && Input.GetKeyDown(KeyCode.Return))
            _avatar.Say(line);
        if (Input.GetKeyDown(KeyCode.Escape))
            _avatar.Stop();
        if (_avatar.Avatar.HasGaze && Time.time > _lookedAtS + LookEveryS)
        {
            _avatar.LookAt(Camera.main.transform.position);
            _lookedAtS = Time.time;
        }
    }
}
