import Glibc
import Mounting

// Before any other thread exists, so that all of them leave these signals to the one that waits for them. The main
// thread must not become the one that serves the main queue: libdispatch lets signals through there.
Signals.block()
if CommandLine.arguments.dropFirst().first == Keeper.command { Keeper.run(Array(CommandLine.arguments.dropFirst(2))) }
exit(MainThread.wait(for: { await Program.run(CommandLine.arguments).rawValue }))
