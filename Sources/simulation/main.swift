import CSimulation
import Glibc

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
    print(Options.usage)
    exit(2)
}

// Sets and dictionaries have to iterate equally each time; the runtime decides that before this is reached.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) } + [nil]
    pail_execute(&arguments)
    perror("simulation")
    exit(1)
}

if options.jobs > 1 { exit(Processes.run(options) ? 0 : 1) }

pail_take_jobs()
let session = Session(plant: options.plant)
let isWell = options.seed.map(session.show) ?? session.run(options)
session.close()
if options.seed == nil { print("\(session.runs) runs, \(session.deaths) deaths, \(session.failures) failures") }
exit(isWell ? 0 : 1)
