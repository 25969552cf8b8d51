import Base
import Testing

@testable import CLI

@Suite struct HelpTests {
    private let plain = Style(isColored: false)

    @Test func `every command has an example that it accepts`() throws {
        for command in Commands.all {
            #expect(!command.examples.isEmpty, "\(command.name)")
            for example in command.examples {
                #expect(example.line.contains("berth \(command.name)"), "\(example.line)")
            }
        }
    }

    @Test func `every command shows its options, and --json and --help among them`() throws {
        for command in Commands.all {
            let text = Help.text(for: command, style: plain)
            for option in command.allOptions { #expect(text.contains("--\(option.name)"), "\(command.name)") }
            #expect(text.contains("--json") && text.contains("--help"))
            #expect(!text.contains("\u{1B}"))
        }
    }

    @Test func `the overview lists the commands`() {
        let text = Help.overview(Commands.all, group: [], style: plain)
        for command in Commands.all { #expect(text.contains("  \(command.name) "), "\(command.name)") }
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func `completion knows every command and option`(shell: String) throws {
        let script = try #require(CompletionScript.text(for: shell, commands: Commands.all))
        for command in Commands.all {
            for word in command.path { #expect(script.contains(word)) }
            for option in command.options { #expect(script.contains(option.name), "\(command.name) \(option.name)") }
        }
    }

    @Test func `tables line up`() {
        var table = Table(header: ["A", "LONGER"])
        table.rows = [["value", "x"], ["v", "y"]]
        #expect(table.text(style: plain) == "A      LONGER\nvalue  x\nv      y\n")
    }
}
