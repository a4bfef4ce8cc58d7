using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("GStalker.Tests")]
