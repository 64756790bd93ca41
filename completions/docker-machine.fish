# fish completion for docker-machine. Load it: docker-machine completion fish | source

function __docker_machine_candidates
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l candidates (command docker-machine completion candidates $words "$current" 2>/dev/null)
    if test "$candidates[-1]" = :files
        set -e candidates[-1]
        if test (count $candidates) -eq 0
            __fish_complete_path "$current"
        end
    end
    for candidate in $candidates
        echo $candidate
    end
end

complete -c docker-machine -f -a '(__docker_machine_candidates)'
