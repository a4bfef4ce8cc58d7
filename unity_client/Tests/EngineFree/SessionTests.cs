using System;
using System.Collections.Generic;
using GStalker.Protocol;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class SessionTests
    {
        private readonly ScriptedTransport _server = new ScriptedTransport();
        private readonly List<AvatarEvent> _events = new List<AvatarEvent>();
        private readonly AvatarSession _session;

        public SessionTests() => _session = new AvatarSession(_server, new SessionOptions { ClientName = "test", IsPrivate = true }, _events.Add);

        private void Steps(int count)
        {
            for (int i = 0; i < count; i++)
                _session.Step(0);
        }

        private AvatarEvent Last(AvatarEventKind kind)
        {
            AvatarEvent happened = _events.FindLast(e => e.Kind == kind);
            Assert.AreEqual(kind, happened.Kind, "no such event:");
            return happened;
        }

        [Test]
        public void It_greets_subscribes_pings_and_takes_frames()
        {
            Steps(3);
            Assert.AreEqual(ConnectionState.Connected, _session.State);
            Assert.AreEqual("golden ü", _session.Avatar.Name);
            Assert.AreEqual(5, _session.Avatar.GaussianCount);
            Assert.AreEqual(4, _server.Topics, "frames, sound and two events");
            Assert.IsTrue(_server.Asked.Contains("Ping"), string.Join(" ", _server.Asked));
            _server.SendFrame(9, 7);
            Steps(1);
            Assert.AreEqual(1L, _session.Playout.Frames.Counts.Received);
        }

        [Test]
        public void A_server_that_forgot_the_client_is_greeted_again_for_the_same_session()
        {
            Steps(3);
            Playout before = _session.Playout;
            _server.Refuse(0, RefusalCode.GreetFirst, 0);
            Steps(3);
            Assert.AreEqual(ConnectionState.Connected, _session.State);
            Assert.AreEqual(3, _server.SessionAsked, "session asked for");
            Assert.IsTrue(ReferenceEquals(before, _session.Playout), "the same stream goes on");
            Assert.AreEqual(1L, _session.Counts.Losses);
            Last(AvatarEventKind.Lost);
        }

        [Test]
        public void Another_server_at_the_same_address_voids_everything_old()
        {
            Steps(3);
            _server.SendFrame(9, 7);
            Steps(1);
            Playout before = _session.Playout;
            _server.ServerId = "fedcba9876543210";
            _server.Refuse(0, RefusalCode.GreetFirst, 0);
            Steps(5);
            Assert.AreEqual(0, _server.SessionAsked, "the other server's session of that number is somebody else's");
            Assert.IsFalse(ReferenceEquals(before, _session.Playout), "another stream");
            Assert.AreEqual(0, _session.Playout.Frames.Count);
        }

        [Test]
        public void A_session_that_ended_is_not_asked_for_twice()
        {
            Steps(3);
            _server.Refuse(0, RefusalCode.GreetFirst, 0);
            _server.RefuseWith = RefusalCode.UnknownSession;
            Steps(2);
            Assert.AreEqual(3, _server.SessionAsked);
            _server.RefuseWith = "";
            Steps(2);
            Assert.AreEqual(0, _server.SessionAsked, "another one");
            Assert.AreEqual(ConnectionState.Connected, _session.State);
        }

        [Test]
        public void A_refused_greeting_says_why_and_is_not_repeated_at_once()
        {
            _server.RefuseWith = RefusalCode.UnknownAvatar;
            Steps(5);
            Assert.AreEqual(ConnectionState.Refused, _session.State);
            Assert.AreEqual((RefusalCode.UnknownAvatar, "because"),
                (Last(AvatarEventKind.GreetingRefused).Code, Last(AvatarEventKind.GreetingRefused).Text));
            Assert.AreEqual(1, _server.Connections);
        }

        [Test]
        public void A_server_of_another_wire_version_is_refused_with_both_versions()
        {
            _server.Answer = GoldenFiles.Bytes("bad_version");
            Steps(2);
            AvatarEvent refused = Last(AvatarEventKind.GreetingRefused);
            Assert.AreEqual(RefusalCode.WireVersion, refused.Code);
            Assert.IsTrue(refused.Text.Contains($"expected {Wire.WireVersion}, got 99"), refused.Text);
        }

        [Test]
        public void Damaged_and_foreign_publications_are_counted_and_harm_nothing()
        {
            Steps(3);
            foreach (string name in new[] { "bad_nan", "bad_magic", "bad_topic", "bad_cut_short" })
                _server.Send(Channel.Publication, GoldenFiles.Bytes(name));
            byte[] foreign = GoldenFiles.Bytes($"audio_v{Wire.WireVersion}"); // session 99999
            _server.Send(Channel.Publication, foreign);
            Steps(1);
            Assert.AreEqual(4L, _session.Counts.DamagedMessages);
            Assert.AreEqual(0L, _session.Counts.AudioMessages);
            Assert.AreEqual(ConnectionState.Connected, _session.State);
            Last(AvatarEventKind.Damaged);
        }

        [Test]
        public void Speech_is_opened_pushed_without_holes_and_closed()
        {
            var utterance = new Utterance(16000, 1, false);
            var sound = new float[20000];
            for (int i = 0; i < sound.Length; i++)
                sound[i] = i / 32768f;
            utterance.Append(sound);
            utterance.Complete();
            _session.Speech.Add(utterance);
            Steps(20);
            Assert.AreEqual(20000, _server.Pushed.Count);
            for (int i = 0; i < 20000; i++)
                Assert.AreEqual((short)i, _server.Pushed[i]);
            Assert.IsTrue(_server.Asked[_server.Asked.Count - 1] == "CloseSpeech" || _server.Asked.Contains("CloseSpeech"));
            Assert.AreEqual(5, _server.Asked.FindAll(a => a == "PushSpeech").Count, "a quarter of a second each");
        }

        [Test]
        public void A_server_that_has_enough_waiting_is_not_pushed_more()
        {
            var utterance = new Utterance(16000, 1, false);
            utterance.Append(new float[160000]);
            _session.Speech.Add(utterance);
            _server.WaitingS = 1.6;
            Steps(30);
            Assert.AreEqual(4000, _server.Pushed.Count, "one piece");
        }

        [Test]
        public void Stopping_drops_what_was_not_pushed_and_speech_goes_on_after_it()
        {
            var first = new Utterance(16000, 1, false);
            first.Append(new float[160000]);
            _session.Speech.Add(first);
            _server.WaitingS = 1.6;
            Steps(10);
            _session.Speech.Cut();
            _server.Pushed.Clear();
            var second = new Utterance(16000, 1, false);
            second.Append(new float[100]);
            second.Complete();
            _session.Speech.Add(second);
            _server.WaitingS = 0;
            Steps(10);
            Assert.AreEqual(100, _server.Pushed.Count);
        }

        [Test]
        public void Speech_that_the_server_refuses_is_dropped_with_its_reason()
        {
            Steps(3);
            _server.RefuseWith = RefusalCode.UnknownSpeech;
            var utterance = new Utterance(16000, 1, false);
            utterance.Append(new float[1600]);
            _session.Speech.Add(utterance);
            Steps(5);
            Assert.AreEqual("because", Last(AvatarEventKind.SpeechDropped).Text);
        }

        [Test]
        public void Wishes_made_before_the_connection_are_sent_with_it()
        {
            _session.Outbox.Add((buffer, id) => SetEmotion.Write(buffer, id, "joy", 1, 0));
            Assert.AreEqual(0, _server.Asked.Count);
            Steps(3);
            Assert.IsTrue(_server.Asked.Contains("SetEmotion"), string.Join(" ", _server.Asked));
        }
    }
}
