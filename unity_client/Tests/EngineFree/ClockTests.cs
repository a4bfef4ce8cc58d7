using System;
using GStalker.Transport;
using NUnit.Framework;

namespace GStalker.Tests
{
    public sealed class ClockTests
    {
        private const double Drift = 80e-6;
        private const double Offset = 41.25;

        private static double Session(double localS) => Offset + localS * (1 + Drift);

        [Test]
        public void The_clock_is_told_within_its_own_uncertainty_through_jitter_and_drift()
        {
            var clock = new ClockEstimator();
            var random = new Random(7);
            for (int i = 0; i < 180; i++)
            {
                double there = 0.001 + 0.02 * Math.Pow(random.NextDouble(), 6), back = 0.001 + 0.02 * Math.Pow(random.NextDouble(), 6);
                Assert.IsFalse(clock.Add(i, i + there + back, Session(i + there)), $"no jump at {i}");
            }
            double off = Math.Abs(clock.SessionTimeS(181) - Session(181));
            Assert.IsTrue(off <= clock.UncertaintyS(181), $"off by {off}, said {clock.UncertaintyS(181)}");
            Assert.IsTrue(off < 0.001, $"off by {off}"); // measured 0.1 ms; the shortest round trip bounds it by 1 ms
            Assert.AreEqual(Drift, clock.Drift, 20e-6, "drift");
            Assert.AreEqual(200.0, clock.LocalTimeS(clock.SessionTimeS(200)), 1e-9);
        }

        [Test]
        public void A_clock_that_was_set_anew_is_noticed_at_the_first_pong()
        {
            var clock = new ClockEstimator();
            for (int i = 0; i < 10; i++)
                clock.Add(i, i + 0.002, Session(i + 0.001));
            Assert.IsTrue(clock.Add(10, 10.002, 3), "jump");
            Assert.AreEqual(1, clock.Jumps);
            Assert.AreEqual(3 + 5.0, clock.SessionTimeS(15.001), 0.01);
        }

        [Test]
        public void A_publication_is_good_enough_until_the_first_pong()
        {
            var clock = new ClockEstimator();
            Assert.IsFalse(clock.IsKnown);
            clock.AddOneWay(5, Session(5) - 0.03);
            Assert.IsTrue(clock.IsKnown && !clock.IsMeasured);
            Assert.IsFalse(clock.Add(6, 6.001, Session(6.0005)), "no jump: it was provisional");
            Assert.IsTrue(clock.IsMeasured);
            Assert.AreEqual(Session(7), clock.SessionTimeS(7), 0.001);
        }

        [Test]
        public void An_answer_before_its_question_is_refused()
        {
            string reason = Assert.Throws<ArgumentException>(() => new ClockEstimator().Add(2, 1, 0)).Message;
            Assert.IsTrue(reason.Contains("answer after the question"), reason);
        }

        [Test]
        public void Delay_grows_at_once_with_a_late_network_and_shrinks_slowly()
        {
            var slack = new ArrivalSlack();
            slack.Add(0, -3, 0.04);
            Assert.AreEqual(0.0, slack.DelayS, "what piled up before the first second does not count");
            for (int i = 0; i < 25; i++)
                slack.Add(1 + i * 0.04, 0.2, 0.04);
            Assert.AreEqual(0.0, slack.DelayS, "there is lead enough");
            slack.Add(2, -0.1, 0.04);
            Assert.AreEqual(0.16, slack.DelayS, 1e-9, "0.1 late, 0.04 for the frame before, 0.02 margin");
            for (int i = 0; i < 25 * 20; i++)
                slack.Add(2.04 + i * 0.04, 0.2, 0.04);
            Assert.IsTrue(slack.DelayS > 0.06 && slack.DelayS < 0.16, $"{slack.DelayS}");
            slack.Add(23, -5, 0.04);
            Assert.AreEqual(ArrivalSlack.LongestDelayS, slack.DelayS);
        }
    }
}
