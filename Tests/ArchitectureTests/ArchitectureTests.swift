import Foundation
import Testing

/// Holds the sources to the order of the layers: a module uses only what lies below it.
@Suite struct ArchitectureTests {
    /// From the lowest to the highest. Modules on one line don't know each other.
    static let layers: [[String]] = [
        ["Primitives"],
        ["Telemetry"],
        ["LocalDatabase", "Cryptography", "Parsing"],
        ["HTTPTransport"],
        ["ObjectStore"],
        ["Credentials"],
        ["MemoryStore", "LocalStore", "S3Store"],
        ["Layers"],
        ["BlockCache"],
        ["Tree"],
        ["Reconciling"],
        ["FileSystem"],
        ["FuseBridge"],
        ["Configuration"],
        ["Mounting"],
        ["pail", "simulation", "microbench"],
    ]

    /// Each C library has one module that knows it.
    static let owners = [
        "CCurl": "HTTPTransport", "COpenSSL": "Cryptography", "CSQLite": "LocalDatabase", "CExpat": "Parsing",
        "CYaml": "Parsing", "CFuse": "FuseBridge", "CSimulation": "simulation",
        "CAllocations": "microbench",
    ]

    /// What every module may import: the language, the C library and its shims.
    static let common: Set = ["Swift", "Glibc", "CSystem", "Synchronization", "_Concurrency", "Dispatch"]

    static let maximumLines = 400

    private let levels: [String: Int]
    private let files: [SourceFile]

    init() throws {
        levels = Dictionary(
            uniqueKeysWithValues: Self.layers.enumerated().flatMap { level, names in names.map { ($0, level) } })
        files = try SourceFile.all()
        #expect(files.count > 20, "the sources were not found")
    }

    @Test func modulesImportOnlyLowerLayers() throws {
        for file in files {
            let level = try #require(levels[file.module], "\(file.module) is in no layer: add it to the list")
            for name in file.imports where !Self.common.contains(name) && Self.owners[name] == nil {
                guard let other = levels[name] else {
                    Issue.record("\(file.path) imports \(name), which is no module of this project")
                    continue
                }
                #expect(other < level, "\(file.path) imports \(name), which is not below \(file.module)")
            }
        }
    }

    @Test func eachCLibraryHasOneOwner() {
        for file in files {
            for name in file.imports {
                guard let owner = Self.owners[name] else { continue }
                #expect(file.module == owner, "\(file.path) imports \(name), which only \(owner) may")
            }
        }
    }

    @Test func noFoundation() {
        for file in files {
            let found = file.imports.filter { $0.hasPrefix("Foundation") }
            #expect(found.isEmpty, "\(file.path) imports Foundation: it makes the program and its memory far larger")
        }
    }

    @Test func filesAreShort() {
        for file in files {
            #expect(file.lines.count < Self.maximumLines, "\(file.path) has \(file.lines.count) lines: split it")
        }
    }

    @Test func everyModuleHasALayer() {
        let modules = Set(files.map(\.module))
        #expect(modules == Set(levels.keys), "the list of layers and Sources/ differ")
    }

    @Test(
        arguments: [
            ("import Primitives", "Primitives"), ("  public import Tree // why", "Tree"),
            ("@testable import Layers", "Layers"), ("@preconcurrency @_implementationOnly import Glibc", "Glibc"),
            ("import struct Tree.NodeID", "Tree"), ("import func Glibc.open", "Glibc"),
            ("import Foundation;", "Foundation"),
            ("// import Foundation", nil), ("let important = 1", nil), ("/// import x", nil), ("", nil),
            ("case import Foundation", nil),
        ] as [(String, String?)])
    func importsAreFound(line: String, module: String?) {
        #expect(SourceFile.importedModule(line) == module)
    }
}
