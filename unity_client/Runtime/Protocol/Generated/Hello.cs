// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>The first request of a client, which brings it into a session; answered by welcome.</summary>
    public readonly ref struct Hello
    {
        public const string Topic = "hello";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Hello, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Text("client_name", 64),
                FieldSpec.Text("avatar_name", 200),
                FieldSpec.Uint("session_id", 0, 99999),
                FieldSpec.Bool("private"),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>What connects, for the server's log.</summary>
        public readonly Utf8Text ClientName;
        /// <summary>Which avatar; empty for the server's first.</summary>
        public readonly Utf8Text AvatarName;
        /// <summary>Join this session, as after a lost connection; 0 for another.</summary>
        public readonly int SessionId;
        /// <summary>With session 0: open a session of this client's own, instead of the avatar's shared one.</summary>
        public readonly bool Private;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Hello(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            ClientName = decoder.Text(1, message);
            AvatarName = decoder.Text(2, message);
            SessionId = (int)decoder.Whole(3);
            Private = decoder.Truth(4);
        }

        /// <summary>Write the message into a buffer, whole; refuses what its fields may not hold.</summary>
        public static void Write(RequestBuffer buffer, long requestId, string clientName, string avatarName, int sessionId, bool @private)
        {
            buffer.Begin(Spec);
            buffer.PutUint(requestId);
            buffer.PutText(clientName);
            buffer.PutText(avatarName);
            buffer.PutUint(sessionId);
            buffer.PutBool(@private);
            buffer.End();
        }
    }
}
