// Written by `python -m gstalker.bridge.generate` from bridge/schema.py: do not edit.
// Units, spaces and meanings of the fields are in docs/protocol.md.
#nullable enable

using System;

namespace GStalker.Protocol
{
    /// <summary>How the server keeps time; lateness is counted from the moment a frame was due to leave.</summary>
    public readonly ref struct Stats
    {
        public const string Topic = "stats";

        public static readonly MessageSpec Spec = new MessageSpec(
            MessageKind.Stats, Topic, false,
            new[]
            {
                FieldSpec.Uint("request_id", 0, 9007199254740991),
                FieldSpec.Float("stream_time_s", double.MinValue, double.MaxValue),
                FieldSpec.Bool("speaking"),
                FieldSpec.Uint("frames_sent", 0, 9007199254740991),
                FieldSpec.Uint("frames_late", 0, 9007199254740991),
                FieldSpec.Uint("frames_dropped", 0, 9007199254740991),
                FieldSpec.Uint("frames_refused", 0, 9007199254740991),
                FieldSpec.Uint("frames_superseded", 0, 9007199254740991),
                FieldSpec.Uint("audio_chunks_sent", 0, 9007199254740991),
                FieldSpec.Float("speech_waiting_s", double.MinValue, double.MaxValue),
                FieldSpec.Uint("speech_starved", 0, 9007199254740991),
                FieldSpec.Uint("requests_refused", 0, 9007199254740991),
                FieldSpec.Float("lateness_p50_ms", double.MinValue, double.MaxValue),
                FieldSpec.Float("lateness_p99_ms", double.MinValue, double.MaxValue),
                FieldSpec.Float("lateness_max_ms", double.MinValue, double.MaxValue),
                FieldSpec.Float("compute_p50_ms", double.MinValue, double.MaxValue),
                FieldSpec.Float("compute_p99_ms", double.MinValue, double.MaxValue),
                FieldSpec.Float("frames_per_second", double.MinValue, double.MaxValue),
                FieldSpec.Text("backend", 64),
                FieldSpec.Uint("clients", 0, 9007199254740991),
                FieldSpec.Uint("session_clients", 0, 9007199254740991),
                FieldSpec.Uint("sessions", 0, 9007199254740991),
                FieldSpec.Uint("session_limit", 0, 9007199254740991),
                FieldSpec.Float("load", double.MinValue, double.MaxValue),
                FieldSpec.Text("source", 1000),
            },
            Array.Empty<ArraySpec>());

        /// <summary>Chosen by the client, repeated in the answer; 0 where a request could not be read.</summary>
        public readonly long RequestId;
        /// <summary>The session's clock now; negative before the first presentation. (s)</summary>
        public readonly double StreamTimeS;
        /// <summary>Whether speech is being sent.</summary>
        public readonly bool Speaking;
        /// <summary>Time steps sent; one with both payloads counts once.</summary>
        public readonly long FramesSent;
        /// <summary>Sent after their presentation time.</summary>
        public readonly long FramesLate;
        /// <summary>Never sent, because they would have been late.</summary>
        public readonly long FramesDropped;
        /// <summary>Never sent, because a value lay outside the bundle's box.</summary>
        public readonly long FramesRefused;
        /// <summary>Sent again, because a stop changed what was sent ahead.</summary>
        public readonly long FramesSuperseded;
        /// <summary>Sound messages sent.</summary>
        public readonly long AudioChunksSent;
        /// <summary>Sound that waits to be spoken. (s)</summary>
        public readonly double SpeechWaitingS;
        /// <summary>Times that pushed sound ran out in the middle of an utterance.</summary>
        public readonly long SpeechStarved;
        /// <summary>Requests answered by a refusal, by the whole server.</summary>
        public readonly long RequestsRefused;
        /// <summary>Median over the last frames. (ms)</summary>
        public readonly double LatenessP50Ms;
        /// <summary>99th percentile over the last frames. (ms)</summary>
        public readonly double LatenessP99Ms;
        /// <summary>Worst of the whole run. (ms)</summary>
        public readonly double LatenessMaxMs;
        /// <summary>Networks and packing of one frame, median over the last frames. (ms)</summary>
        public readonly double ComputeP50Ms;
        /// <summary>The same, 99th percentile. (ms)</summary>
        public readonly double ComputeP99Ms;
        /// <summary>Frames of this session sent in the last two seconds. (Hz)</summary>
        public readonly double FramesPerSecond;
        /// <summary>What computes the field.</summary>
        public readonly Utf8Text Backend;
        /// <summary>Clients of the whole server.</summary>
        public readonly long Clients;
        /// <summary>Clients of this session.</summary>
        public readonly long SessionClients;
        /// <summary>Sessions of the whole server.</summary>
        public readonly long Sessions;
        /// <summary>How many the server would admit as things stand.</summary>
        public readonly long SessionLimit;
        /// <summary>Share of the time that frames are being computed, last two seconds.</summary>
        public readonly double Load;
        /// <summary>What gives the live sound or face, and how it fares; empty for none.</summary>
        public readonly Utf8Text Source;

        /// <summary>The message that the decoder has just read from these bytes.</summary>
        public Stats(MessageDecoder decoder, ReadOnlySpan<byte> message)
        {
            decoder.Expect(Spec);
            RequestId = decoder.Whole(0);
            StreamTimeS = decoder.Number(1);
            Speaking = decoder.Truth(2);
            FramesSent = decoder.Whole(3);
            FramesLate = decoder.Whole(4);
            FramesDropped = decoder.Whole(5);
            FramesRefused = decoder.Whole(6);
            FramesSuperseded = decoder.Whole(7);
            AudioChunksSent = decoder.Whole(8);
            SpeechWaitingS = decoder.Number(9);
            SpeechStarved = decoder.Whole(10);
            RequestsRefused = decoder.Whole(11);
            LatenessP50Ms = decoder.Number(12);
            LatenessP99Ms = decoder.Number(13);
            LatenessMaxMs = decoder.Number(14);
            ComputeP50Ms = decoder.Number(15);
            ComputeP99Ms = decoder.Number(16);
            FramesPerSecond = decoder.Number(17);
            Backend = decoder.Text(18, message);
            Clients = decoder.Whole(19);
            SessionClients = decoder.Whole(20);
            Sessions = decoder.Whole(21);
            SessionLimit = decoder.Whole(22);
            Load = decoder.Number(23);
            Source = decoder.Text(24, message);
        }
    }
}
