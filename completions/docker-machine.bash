# bash completion for docker-machine. Load it:
#   source <(docker-machine completion bash)

_docker_machine() {
    local IFS=$'\n' last
    COMPREPLY=($(command docker-machine completion candidates "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
    last=$((${#COMPREPLY[@]} - 1))
    if ((last >= 0)) && [ "${COMPREPLY[last]}" = :files ]; then
        unset "COMPREPLY[last]"
    else
        compopt +o bashdefault +o default
    fi
    case ${COMPREPLY[0]-} in *[:=]) compopt -o nospace ;; esac
}

complete -o bashdefault -o default -F _docker_machine docker-machine
