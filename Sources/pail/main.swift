import Glibc
import Mounting

// Before any thread exists, so that all of them leave these signals to the one that waits for them.
Signals.block()
exit(await Program.run(CommandLine.arguments).rawValue)
