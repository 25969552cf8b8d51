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

    @Test func `a table fits its terminal, with ids whole and no control characters`() {
        var table = Table(header: ["ID", "NAME", "TITLE"])
        let id = "exec_01jd0000000000000000000000"
        table.rows = [[id, "fix-the-login", "rewrite\n\u{1B}[31mthe whole login from the ground up"]]
        for width in [50, 60, 80] {
            let lines = table.text(style: plain, width: width).split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.allSatisfy { $0.count <= width }, "\(lines)")
            #expect(lines[1].hasPrefix(id) && lines[1].hasSuffix("…"))
        }
        let whole = table.text(style: plain)
        #expect(whole.contains("rewrite  [31mthe whole login from the ground up"))
    }

    @Test func `an age is its largest whole unit`() {
        let now = Timestamp(milliseconds: 1_000_000_000)
        let ages: [(Int64, String)] = [(-5, "0 s"), (59, "59 s"), (60, "1 m"), (7200, "2 h"), (172_900, "2 d")]
        for (seconds, text) in ages {
            #expect(AgeText.text(Timestamp(milliseconds: now.milliseconds - seconds * 1000), now: now) == text)
        }
    }
}
