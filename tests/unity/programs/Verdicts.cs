// Says of each message in a file (length as uint32, then the bytes) whether it is sound: Verdicts.dll FILE, a line of
// 0 and 1. For the comparison with Python's codec.
using System;
using System.Collections.Generic;
using System.IO;
using GStalker.Protocol;

internal static class Verdicts
{
    private static int Main(string[] arguments)
    {
        byte[] file = File.ReadAllBytes(arguments[0]);
        var decoder = new MessageDecoder();
        var verdicts = new List<char>();
        for (int at = 0; at < file.Length;)
        {
            int length = BitConverter.ToInt32(file, at);
            verdicts.Add(decoder.TryDecode(new ReadOnlySpan<byte>(file, at + 4, length), out _, out _) ? '1' : '0');
            at += 4 + length;
        }
        Console.WriteLine(new string(verdicts.ToArray()));
        return 0;
    }
}
