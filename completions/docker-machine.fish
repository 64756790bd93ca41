# fish completion for docker-machine. Load it: docker-machine completion fish | source

function __docker_machine_candidates
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    command docker-machine completion candidates $words "$current" 2>/dev/null
end

complete -c docker-machine -a '(__docker_machine_candidates)'
