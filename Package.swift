// swift-tools-version: 6.0
import PackageDescription

// The layers, each with what it may use. Tests/ArchitectureTests holds the imports to the order in docs/ARCHITECTURE.md.
let settings: [SwiftSetting] = [.swiftLanguageMode(.v6), .unsafeFlags(["-warnings-as-errors"])]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: [.byName(name: name)] + dependencies, swiftSettings: settings)
}

let package = Package(
    name: "pail",
    products: [.executable(name: "pail", targets: ["pail"])],
    targets: [
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .target(name: "CSystem"),

        module("Primitives", ["CSystem"]),
        module("Telemetry", ["Primitives"]),
        module("LocalDatabase", ["Primitives", "CSQLite", "CSystem"]),
        module("Cryptography", ["Primitives", "CSystem", "COpenSSL"]),
        module("Parsing", ["Primitives", "CExpat", "CYaml"]),
        module("HTTPTransport", ["Primitives", "Telemetry", "CCurl"]),
        module("ObjectStore", ["Primitives"]),
        module("Credentials", ["Primitives", "Telemetry", "Cryptography", "Parsing"]),
        module("MemoryStore", ["Primitives", "ObjectStore", "Cryptography"]),
        module("LocalStore", ["Primitives", "Telemetry", "ObjectStore", "Cryptography", "CSystem"]),
        module(
            "S3Store",
            ["Primitives", "Telemetry", "ObjectStore", "HTTPTransport", "Cryptography", "Parsing", "Credentials"]),
        module("Layers", ["Primitives", "Telemetry", "Cryptography", "ObjectStore"]),
        module("BlockCache", ["Primitives", "Telemetry", "Cryptography", "ObjectStore", "CSystem"]),
        module("Tree", ["Primitives", "Telemetry", "LocalDatabase", "ObjectStore"]),
        module("Reconciling", ["Primitives", "Telemetry", "ObjectStore", "BlockCache", "Tree"]),
        module(
            "FileSystem", ["Primitives", "Telemetry", "ObjectStore", "BlockCache", "Tree", "Reconciling", "CSystem"]),
        module("FuseBridge", ["Primitives", "Telemetry", "FileSystem", "CFuse", "CSystem"]),
        module("Configuration", ["Primitives", "Parsing"]),
        module(
            "Mounting",
            [
                "Primitives", "Telemetry", "Configuration", "FuseBridge", "FileSystem", "Reconciling", "Tree",
                "BlockCache", "Layers", "S3Store", "LocalStore", "ObjectStore", "HTTPTransport", "Credentials",
                "Parsing", "CSystem",
            ]),
        .executableTarget(
            name: "pail", dependencies: ["Primitives", "Telemetry", "Configuration", "Mounting"],
            swiftSettings: settings),

        // Deterministic runs of the layers below the mount, with deaths and power losses; docs/SIMULATION.md.
        .target(name: "CSimulation"),
        .executableTarget(
            name: "simulation",
            dependencies: [
                "CSimulation", "CSystem", "Primitives", "Telemetry", "LocalDatabase", "ObjectStore", "MemoryStore",
                "Layers", "BlockCache", "Tree", "Reconciling", "FileSystem",
            ],
            // Its loops over bytes are most of a run: optimized in tests, too.
            swiftSettings: settings + [.unsafeFlags(["-O"])],
            // libsqlite3 has to find this program's definitions of what changes the disk.
            linkerSettings: [.unsafeFlags(["-Xlinker", "--export-dynamic"])]),

        // What the hot paths cost, in time and allocations; docs/BENCHMARKS.md.
        .target(name: "CAllocations"),
        .executableTarget(
            name: "microbench",
            dependencies: [
                "CAllocations", "Primitives", "Telemetry", "ObjectStore", "MemoryStore", "Layers", "BlockCache", "Tree",
                "Reconciling", "FileSystem",
            ], swiftSettings: settings),

        // What several test targets use.
        .target(
            name: "StoreConformance", dependencies: ["Primitives", "ObjectStore"], path: "Tests/StoreConformance",
            swiftSettings: settings),

        tests("Primitives", []),
        tests("LocalDatabase", ["Primitives"]),
        tests("Cryptography", []),
        tests("Parsing", []),
        tests("HTTPTransport", ["Primitives"]),
        tests("Credentials", []),
        tests("MemoryStore", ["StoreConformance", "ObjectStore", "Primitives"]),
        tests("LocalStore", ["StoreConformance", "ObjectStore", "Primitives"]),
        tests(
            "S3Store", ["StoreConformance", "ObjectStore", "Primitives", "HTTPTransport", "Credentials", "Layers"]),
        tests("Layers", ["StoreConformance", "MemoryStore", "ObjectStore", "Primitives"]),
        tests("BlockCache", ["MemoryStore", "ObjectStore", "Primitives"]),
        tests("Tree", ["LocalDatabase", "ObjectStore", "Primitives"]),
        tests("Reconciling", ["MemoryStore", "Layers", "Tree", "BlockCache", "ObjectStore", "Primitives"]),
        tests(
            "FileSystem",
            ["MemoryStore", "Layers", "Reconciling", "Tree", "BlockCache", "ObjectStore", "Primitives", "Telemetry"]),
        tests("Configuration", ["Primitives"]),
        tests(
            "Mounting",
            [
                "LocalDatabase", "Tree", "BlockCache", "ObjectStore", "FuseBridge", "FileSystem", "Configuration",
                "Primitives", "Telemetry",
            ]),
        // Doesn't depend on the program, which is built beside it: its definitions of system calls are for itself alone.
        .testTarget(name: "SimulationTests", swiftSettings: settings),
        .testTarget(name: "ArchitectureTests", swiftSettings: settings),
    ]
)
