import Base
import Testing

@testable import CLI

@Suite struct ArgumentParserTests {
    private func parse(_ line: String) throws -> (name: String, ParsedArguments) {
        guard
            case .run(let command, let parsed) = try Commands.parser.parse(line.split(separator: " ").map(String.init))
        else { throw BerthError(.usage, "no command") }
        return (command.name, parsed)
    }

    private func refusal(_ line: String) -> BerthError? {
        do {
            _ = try Commands.parser.parse(line.split(separator: " ").map(String.init))
            return nil
        } catch {
            return error
        }
    }

    @Test func `options are read in every spelling`() throws {
        let (name, parsed) = try parse("run --repo=https://a/b --push -e build --secret A --secret B=@f task")
        #expect(name == "run")
        #expect(parsed.text("repo") == "https://a/b")
        #expect(parsed.has("push"))
        #expect(parsed.text("environment") == "build")
        #expect(parsed.all("secret") == ["A", "B=@f"])
        #expect(parsed.operands == ["task"])
    }

    @Test(arguments: ["exec -- ls --all -l", "exec ls --all -l", "exec --detach ls --all -l"])
    func `a command line keeps its own flags`(line: String) throws {
        #expect(try parse(line).1.operands == ["ls", "--all", "-l"])
    }

    @Test(arguments: [
        ("exce -- true", "did you mean 'berth exec'?"),
        ("env creat", "did you mean 'berth env create'?"),
        ("run --timout 5s x", "did you mean '--timeout'?"),
        ("ls extra", "berth ls takes no arguments"),
    ])
    func `what is misspelt is refused with what was meant`(line: String, remedy: String) {
        let error = refusal(line)
        #expect(error?.code == .usage)
        #expect(error?.remedy == remedy)
    }

    @Test(arguments: ["run --timeout", "exec", "show", "run --repo a --repo b x", "--json ls"])
    func `an incomplete line is refused`(line: String) { #expect(refusal(line)?.code == .usage) }

    @Test(arguments: [
        ("90s", 90_000), ("30m", 1_800_000), ("2h", 7_200_000), ("250ms", 250), ("5", 5000), ("1.5s", 1500),
    ])
    func `durations are read`(text: String, milliseconds: Int64) {
        #expect(DurationText.milliseconds(text) == milliseconds)
    }

    @Test(arguments: ["", "m", "5x", "-1s", "1h30"])
    func `what is no duration is not read`(text: String) { #expect((DurationText.milliseconds(text) ?? -1) <= 0) }

    @Test(arguments: [("512M", 512 << 20), ("2G", 2 << 30), ("2GiB", 2 << 30), ("1048576", 1 << 20), ("1.5K", 1536)])
    func `sizes are read`(text: String, bytes: Int64) { #expect(SizeText.bytes(text) == bytes) }
}
