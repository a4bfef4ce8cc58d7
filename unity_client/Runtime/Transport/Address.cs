#nullable enable
using System;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace GStalker.Transport
{
    /// <summary>Where a server takes requests: tcp://HOST:PORT.</summary>
    public sealed class Address
    {
        public const string Default = "tcp://127.0.0.1:5555";

        private static readonly Regex Form =
            new Regex(@"^tcp://(?<host>\[[0-9a-fA-F:]+\]|[A-Za-z0-9.\-]+):(?<port>[0-9]{1,5})$");

        public readonly string Host;
        public readonly int ControlPort;

        private Address(string host, int port)
        {
            Host = host;
            ControlPort = port;
        }

        /// <exception cref="AvatarException">The text is no such address.</exception>
        public static Address Parse(string text)
        {
            Match match = Form.Match(text ?? "");
            int port = match.Success ? int.Parse(match.Groups["port"].Value, CultureInfo.InvariantCulture) : 0;
            if (port < 1 || port > 65534)
            {
                throw new AvatarException(
                    $"{text}: expected an address tcp://HOST:PORT with a port of 1 to 65534, as {Default}.");
            }
            string host = match.Groups["host"].Value;
            return new Address(host == "localhost" ? "127.0.0.1" : host, port);
        }

        /// <summary>Whether it is this machine's own. A name is not: what it stands for may change.</summary>
        public bool IsLoopback =>
            IPAddress.TryParse(Host.Trim('[', ']'), out IPAddress ip) && IPAddress.IsLoopback(ip);

        /// <summary>Another port of the same host.</summary>
        public string At(int port) => $"tcp://{Host}:{port.ToString(CultureInfo.InvariantCulture)}";

        public override string ToString() => At(ControlPort);

        /// <summary>Refuse to talk to another machine in the clear.</summary>
        /// <exception cref="AvatarException">Another address than loopback, and no keys.</exception>
        public void RequireKeysElsewhere(CurveKeys? keys)
        {
            if (!IsLoopback && keys == null)
            {
                throw new AvatarException(
                    $"{this}: expected an address of this machine alone (127.0.0.1, [::1] or localhost), or the keys " +
                    "of this client and the public key of the server; `gstalker keys new NAME` makes keys.");
            }
        }
    }
}
