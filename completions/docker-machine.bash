# bash completion for docker-machine. Load it: source <(docker-machine completion bash)

_docker_machine() {
    local IFS=$'\n'
    COMPREPLY=($(command docker-machine completion candidates "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}

complete -o bashdefault -o default -F _docker_machine docker-machine
