import Glibc

// microbench DIRECTORY: measures the hot paths of the file system, with its cache in an empty directory. Exits with 1 if
// one allocates more than it may. docs/BENCHMARKS.md.
guard CommandLine.arguments.count == 2 else {
    print("usage: microbench DIRECTORY, an empty one")
    exit(2)
}
let mounted = try Mounted(HotPaths.bucket(), directory: CommandLine.arguments[1])
let measurements = try await HotPaths(mounted: mounted).measure()
await mounted.stop()
for measurement in measurements { print(measurement.line) }
exit(measurements.allSatisfy(\.isWithinLimit) ? 0 : 1)
