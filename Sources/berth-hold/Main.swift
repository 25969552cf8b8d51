internal import Glibc
internal import Holder

@main struct Main {
    static func main() {
        if CommandLine.arguments.dropFirst().first == Sandbox.mode { exit(Sandbox.run()) }
        exit(HolderProgram.run(arguments: Array(CommandLine.arguments.dropFirst())))
    }
}
