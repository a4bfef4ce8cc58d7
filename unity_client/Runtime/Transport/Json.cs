#nullable enable
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace GStalker.Transport
{
    /// <summary>A small strict JSON reader for the files of sessions, bundles and keys: no comments, no duplicates.</summary>
    public sealed class Json
    {
        private const int Deepest = 32;

        private readonly object? _value;
        private readonly string _where;

        private Json(object? value, string where)
        {
            _value = value;
            _where = where;
        }

        /// <exception cref="AvatarException">The text is no JSON.</exception>
        public static Json Parse(string text, string where)
        {
            int at = 0;
            object? value = ReadValue(text, ref at, where, 0);
            Skip(text, ref at);
            if (at != text.Length)
                throw Broken(where, at);
            return new Json(value, where);
        }

        public bool Has(string name) => _value is Dictionary<string, object?> map && map.ContainsKey(name);

        public Json this[string name] =>
            _value is Dictionary<string, object?> map && map.TryGetValue(name, out object? value)
                ? new Json(value, $"{_where}: {name}")
                : throw new AvatarException($"{_where}: expected the field {name}, it is missing.");

        public Json this[int i] => _value is List<object?> list && i < list.Count
            ? new Json(list[i], $"{_where}[{i}]")
            : throw new AvatarException($"{_where}: expected a list with an item {i}.");

        public int Count => _value is List<object?> list ? list.Count : throw Wrong("a list");

        public IEnumerable<string> Names => _value is Dictionary<string, object?> map ? map.Keys : throw Wrong("an object");

        public string Text => _value as string ?? throw Wrong("a text");

        public double Number => _value is double number ? number : throw Wrong("a number");

        public bool Truth => _value is bool truth ? truth : throw Wrong("true or false");

        public long Whole
        {
            get
            {
                double number = Number;
                return Math.Abs(number) <= 9007199254740991 && Math.Floor(number) == number
                    ? (long)number
                    : throw Wrong("a whole number");
            }
        }

        /// <summary>All numbers of a list, and of lists in it, one after the other.</summary>
        public double[] Numbers()
        {
            var numbers = new List<double>();
            Collect(_value, numbers);
            return numbers.ToArray();
        }

        private void Collect(object? value, List<double> numbers)
        {
            if (value is double number)
                numbers.Add(number);
            else if (value is List<object?> list)
                list.ForEach(item => Collect(item, numbers));
            else
                throw Wrong("numbers");
        }

        private AvatarException Wrong(string expected) => new AvatarException($"{_where}: expected {expected}, got another value.");

        private static AvatarException Broken(string where, int at) =>
            new AvatarException($"{where}: expected JSON, could not read it at character {at}.");

        private static object? ReadValue(string text, ref int at, string where, int depth)
        {
            Skip(text, ref at);
            if (at >= text.Length || depth > Deepest)
                throw Broken(where, at);
            switch (text[at])
            {
                case '{': return ReadObject(text, ref at, where, depth);
                case '[': return ReadList(text, ref at, where, depth);
                case '"': return ReadText(text, ref at, where);
                case 't': return ReadWord(text, ref at, where, "true", true);
                case 'f': return ReadWord(text, ref at, where, "false", false);
                case 'n': return ReadWord(text, ref at, where, "null", null);
                default: return ReadNumber(text, ref at, where);
            }
        }

        private static object ReadObject(string text, ref int at, string where, int depth)
        {
            var map = new Dictionary<string, object?>();
            at++;
            for (bool first = true; !Take(text, ref at, '}'); first = false)
            {
                if (!first && !Take(text, ref at, ','))
                    throw Broken(where, at);
                Skip(text, ref at);
                if (at >= text.Length || text[at] != '"')
                    throw Broken(where, at);
                string name = ReadText(text, ref at, where);
                if (!Take(text, ref at, ':') || map.ContainsKey(name))
                    throw Broken(where, at);
                map[name] = ReadValue(text, ref at, where, depth + 1);
            }
            return map;
        }

        private static object ReadList(string text, ref int at, string where, int depth)
        {
            var list = new List<object?>();
            at++;
            for (bool first = true; !Take(text, ref at, ']'); first = false)
            {
                if (!first && !Take(text, ref at, ','))
                    throw Broken(where, at);
                list.Add(ReadValue(text, ref at, where, depth + 1));
            }
            return list;
        }

        private static string ReadText(string text, ref int at, string where)
        {
            var read = new StringBuilder();
            for (at++; at < text.Length && text[at] != '"'; at++)
            {
                if (text[at] != '\\')
                {
                    read.Append(text[at]);
                    continue;
                }
                char escape = ++at < text.Length ? text[at] : ' ';
                int place = "\"\\/bfnrt".IndexOf(escape);
                if (place >= 0)
                    read.Append("\"\\/\b\f\n\r\t"[place]);
                else if (escape == 'u' && at + 4 < text.Length && ushort.TryParse(
                    text.Substring(at + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort unit))
                {
                    read.Append((char)unit);
                    at += 4;
                }
                else
                    throw Broken(where, at);
            }
            if (at >= text.Length)
                throw Broken(where, at);
            at++;
            return read.ToString();
        }

        private static object? ReadWord(string text, ref int at, string where, string word, object? value)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0)
                throw Broken(where, at);
            at += word.Length;
            return value;
        }

        private static object ReadNumber(string text, ref int at, string where)
        {
            int start = at;
            while (at < text.Length && "+-.0123456789eE".IndexOf(text[at]) >= 0)
                at++;
            if (!double.TryParse(text.Substring(start, at - start), NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
                throw Broken(where, start);
            return number;
        }

        private static bool Take(string text, ref int at, char wanted)
        {
            Skip(text, ref at);
            if (at >= text.Length || text[at] != wanted)
                return false;
            at++;
            return true;
        }

        private static void Skip(string text, ref int at)
        {
            while (at < text.Length && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
                at++;
        }
    }
}
