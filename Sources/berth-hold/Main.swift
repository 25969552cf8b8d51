internal import Glibc
internal import Holder

@main struct Main {
    static func main() {
        if CommandLine.arguments.dropFirst().first == Sandbox.mode { exit(Sandbox.run()) }
        if let status = MicroMachine.run(Array(CommandLine.arguments.dropFirst())) { exit(status) }
        exit(HolderProgram.run(arguments: Array(CommandLine.arguments.dropFirst())))
    }
}
