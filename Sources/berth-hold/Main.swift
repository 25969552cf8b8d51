internal import Glibc
internal import Holder

@main struct Main {
    static func main() {
        exit(HolderProgram.run(arguments: Array(CommandLine.arguments.dropFirst())))
    }
}
