// A C# compiler over Roslyn's public interface: takes csc's arguments, prints its diagnostics, exit code 1 on an error.
// Several compilations, one after the other, are separated by --next: starting takes longer than compiling.
// The SDK that npm carries has a compiler of C# 8; the Roslyn that an npm tool carries knows C# 9 but has no program.
using System;
using System.IO;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Text;

internal static class Compiler
{
    private static int Main(string[] arguments)
    {
        for (int from = 0; from < arguments.Length;)
        {
            int next = Array.IndexOf(arguments, "--next", from);
            int end = next < 0 ? arguments.Length : next;
            if (Compile(arguments[from..end]) != 0)
                return 1;
            from = end + 1;
        }
        return 0;
    }

    private static int Compile(string[] arguments)
    {
        string here = Directory.GetCurrentDirectory();
        CSharpCommandLineArguments parsed = CSharpCommandLineParser.Default.Parse(arguments, here, null);
        foreach (Diagnostic wrong in parsed.Errors)
            Console.WriteLine(wrong);
        if (parsed.Errors.Any(d => d.Severity == DiagnosticSeverity.Error))
            return 1;
        string name = parsed.OutputFileName ?? throw new ArgumentException("expected -out:NAME");
        var trees = parsed.SourceFiles.Select(file => CSharpSyntaxTree.ParseText(
            SourceText.From(File.ReadAllText(file.Path), System.Text.Encoding.UTF8), parsed.ParseOptions, file.Path));
        var references = parsed.MetadataReferences.Select(
            r => MetadataReference.CreateFromFile(Path.Combine(here, r.Reference), r.Properties));
        CSharpCompilation compilation = CSharpCompilation.Create(
            Path.GetFileNameWithoutExtension(name), trees, references,
            parsed.CompilationOptions.WithAssemblyIdentityComparer(DesktopAssemblyIdentityComparer.Default));
        using var assembly = new MemoryStream();
        var result = compilation.Emit(assembly);
        foreach (Diagnostic diagnostic in result.Diagnostics)
        {
            if (!diagnostic.IsSuppressed && diagnostic.Severity >= DiagnosticSeverity.Warning)
                Console.WriteLine(diagnostic);
        }
        if (!result.Success)
            return 1;
        File.WriteAllBytes(Path.Combine(parsed.OutputDirectory, name), assembly.ToArray());
        return 0;
    }
}
