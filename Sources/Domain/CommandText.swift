internal import Base

/// A command as a person would call it: what a shell was given, or the words.
public enum CommandText {
    public static func text(_ command: [String]) -> String {
        if command.count == 3, command[1] == "-c", ["sh", "bash", "/bin/sh", "/bin/bash"].contains(command[0]) {
            return command[2].split(whereSeparator: \.isNewline).first.map { String($0).trimmed } ?? command[2]
        }
        return command.joined(separator: " ")
    }
}
