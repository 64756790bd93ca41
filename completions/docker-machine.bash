_docker__machine() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="docker__machine"
                ;;
            docker__machine,active)
                cmd="docker__machine__subcmd__active"
                ;;
            docker__machine,config)
                cmd="docker__machine__subcmd__config"
                ;;
            docker__machine,create)
                cmd="docker__machine__subcmd__create"
                ;;
            docker__machine,doctor)
                cmd="docker__machine__subcmd__doctor"
                ;;
            docker__machine,env)
                cmd="docker__machine__subcmd__env"
                ;;
            docker__machine,help)
                cmd="docker__machine__subcmd__help"
                ;;
            docker__machine,inspect)
                cmd="docker__machine__subcmd__inspect"
                ;;
            docker__machine,ip)
                cmd="docker__machine__subcmd__ip"
                ;;
            docker__machine,kill)
                cmd="docker__machine__subcmd__kill"
                ;;
            docker__machine,ls)
                cmd="docker__machine__subcmd__ls"
                ;;
            docker__machine,mount)
                cmd="docker__machine__subcmd__mount"
                ;;
            docker__machine,provision)
                cmd="docker__machine__subcmd__provision"
                ;;
            docker__machine,prune)
                cmd="docker__machine__subcmd__prune"
                ;;
            docker__machine,regenerate-certs)
                cmd="docker__machine__subcmd__regenerate__subcmd__certs"
                ;;
            docker__machine,restart)
                cmd="docker__machine__subcmd__restart"
                ;;
            docker__machine,rm)
                cmd="docker__machine__subcmd__rm"
                ;;
            docker__machine,scp)
                cmd="docker__machine__subcmd__scp"
                ;;
            docker__machine,ssh)
                cmd="docker__machine__subcmd__ssh"
                ;;
            docker__machine,start)
                cmd="docker__machine__subcmd__start"
                ;;
            docker__machine,status)
                cmd="docker__machine__subcmd__status"
                ;;
            docker__machine,stop)
                cmd="docker__machine__subcmd__stop"
                ;;
            docker__machine,update-labels)
                cmd="docker__machine__subcmd__update__subcmd__labels"
                ;;
            docker__machine,upgrade)
                cmd="docker__machine__subcmd__upgrade"
                ;;
            docker__machine,url)
                cmd="docker__machine__subcmd__url"
                ;;
            docker__machine,version)
                cmd="docker__machine__subcmd__version"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        docker__machine)
            opts="-D -s -h -v --debug --storage-path --tls-ca-cert --tls-ca-key --tls-client-cert --tls-client-key --github-api-token --native-ssh --bugsnag-api-token --help --version active config create doctor env inspect ip kill ls mount provision prune regenerate-certs restart rm scp ssh start status stop update-labels upgrade url version help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --storage-path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -s)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls-ca-cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls-ca-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls-client-cert)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls-client-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --github-api-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --bugsnag-api-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__active)
            opts="-t -h --timeout --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -t)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__config)
            opts="-h --swarm --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__create)
            opts="-d -h --driver --engine-install-url --engine-version --engine-opt --engine-insecure-registry --engine-registry-mirror --engine-label --engine-storage-driver --engine-env --tls-san --open-firewall --custom-install-script --hostname-override --dry-run --swarm --swarm-master --swarm-image --swarm-discovery --swarm-strategy --swarm-opt --swarm-join-opt --swarm-host --swarm-addr --swarm-experimental --help --amazonec2-access-key --amazonec2-secret-key --amazonec2-session-token --amazonec2-region --amazonec2-endpoint --amazonec2-insecure-transport --amazonec2-retries --amazonec2-ami --amazonec2-instance-type --amazonec2-device-name --amazonec2-root-size --amazonec2-volume-type --amazonec2-volume-iops --amazonec2-volume-throughput --amazonec2-volume-encrypted --amazonec2-encrypt-ebs-volume --amazonec2-volume-kms-key --amazonec2-kms-key --amazonec2-iam-instance-profile --amazonec2-ssh-user --amazonec2-ssh-port --amazonec2-ssh-keypath --amazonec2-keypair-name --amazonec2-request-spot-instance --amazonec2-spot-price --amazonec2-block-duration-minutes --amazonec2-monitoring --amazonec2-use-ebs-optimized-instance --amazonec2-tags --amazonec2-userdata --amazonec2-use-fleet --amazonec2-launch-template --amazonec2-vpc-id --amazonec2-zone --amazonec2-subnet-id --amazonec2-security-group --amazonec2-security-group-readonly --amazonec2-open-port --amazonec2-private-address-only --amazonec2-use-private-address --amazonec2-ipv6-address-count --amazonec2-enable-primary-ipv6 --amazonec2-ipv6-address-only --amazonec2-metadata-token --amazonec2-metadata-token-response-hop-limit --amazonec2-http-put-response-hop-limit --amazonec2-http-tokens --amazonec2-http-endpoint --amazonec2-http-protocol-ipv6 --amazonec2-ssh-key-type --amazonec2-spot-fallback --amazonec2-security-group-cidr --amazonec2-max-lifetime --amazonec2-owner-tag-prefix --amazonec2-no-owner-tags --generic-engine-port --generic-ip-address --generic-ssh-user --generic-ssh-key --generic-ssh-port --url"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --driver)
                    COMPREPLY=($(compgen -W "amazonec2 generic none" -- "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -W "amazonec2 generic none" -- "${cur}"))
                    return 0
                    ;;
                --engine-install-url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-opt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-insecure-registry)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-registry-mirror)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-label)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-storage-driver)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --engine-env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls-san)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --custom-install-script)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hostname-override)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-image)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-discovery)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-opt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-join-opt)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --swarm-addr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ami)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-instance-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-device-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-root-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-iops)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-throughput)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-iam-instance-profile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-keypath)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-keypair-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-price)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-block-duration-minutes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-tags)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-userdata)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-launch-template)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-vpc-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-subnet-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-open-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ipv6-address-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-put-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-protocol-ipv6)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-key-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-fallback)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group-cidr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-max-lifetime)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-owner-tag-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-engine-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__doctor)
            opts="-d -h --driver --help --amazonec2-access-key --amazonec2-secret-key --amazonec2-session-token --amazonec2-region --amazonec2-endpoint --amazonec2-insecure-transport --amazonec2-retries --amazonec2-ami --amazonec2-instance-type --amazonec2-device-name --amazonec2-root-size --amazonec2-volume-type --amazonec2-volume-iops --amazonec2-volume-throughput --amazonec2-volume-encrypted --amazonec2-encrypt-ebs-volume --amazonec2-volume-kms-key --amazonec2-kms-key --amazonec2-iam-instance-profile --amazonec2-ssh-user --amazonec2-ssh-port --amazonec2-ssh-keypath --amazonec2-keypair-name --amazonec2-request-spot-instance --amazonec2-spot-price --amazonec2-block-duration-minutes --amazonec2-monitoring --amazonec2-use-ebs-optimized-instance --amazonec2-tags --amazonec2-userdata --amazonec2-use-fleet --amazonec2-launch-template --amazonec2-vpc-id --amazonec2-zone --amazonec2-subnet-id --amazonec2-security-group --amazonec2-security-group-readonly --amazonec2-open-port --amazonec2-private-address-only --amazonec2-use-private-address --amazonec2-ipv6-address-count --amazonec2-enable-primary-ipv6 --amazonec2-ipv6-address-only --amazonec2-metadata-token --amazonec2-metadata-token-response-hop-limit --amazonec2-http-put-response-hop-limit --amazonec2-http-tokens --amazonec2-http-endpoint --amazonec2-http-protocol-ipv6 --amazonec2-ssh-key-type --amazonec2-spot-fallback --amazonec2-security-group-cidr --amazonec2-max-lifetime --amazonec2-owner-tag-prefix --amazonec2-no-owner-tags --generic-engine-port --generic-ip-address --generic-ssh-user --generic-ssh-key --generic-ssh-port --url"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --driver)
                    COMPREPLY=($(compgen -W "amazonec2 generic none" -- "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -W "amazonec2 generic none" -- "${cur}"))
                    return 0
                    ;;
                --amazonec2-access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ami)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-instance-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-device-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-root-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-iops)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-throughput)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-iam-instance-profile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-keypath)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-keypair-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-price)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-block-duration-minutes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-tags)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-userdata)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-launch-template)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-vpc-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-subnet-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-open-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ipv6-address-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-put-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-protocol-ipv6)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-key-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-fallback)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group-cidr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-max-lifetime)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-owner-tag-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-engine-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__env)
            opts="-u -h --swarm --shell --unset --no-proxy --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --shell)
                    COMPREPLY=($(compgen -W "bash zsh sh fish tcsh cmd powershell emacs" -- "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__help)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__inspect)
            opts="-f -h --format --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__ip)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__kill)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__ls)
            opts="-q -t -f -h --quiet --filter --timeout --format --json --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --filter)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -t)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -f)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__mount)
            opts="-u -h --unmount --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__provision)
            opts="-h --open-firewall --accept-new-host-key --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__prune)
            opts="-f -d -h --force --older-than --all-stores --tag --driver --store-moved --store-copied --help --amazonec2-access-key --amazonec2-secret-key --amazonec2-session-token --amazonec2-region --amazonec2-endpoint --amazonec2-insecure-transport --amazonec2-retries --amazonec2-ami --amazonec2-instance-type --amazonec2-device-name --amazonec2-root-size --amazonec2-volume-type --amazonec2-volume-iops --amazonec2-volume-throughput --amazonec2-volume-encrypted --amazonec2-encrypt-ebs-volume --amazonec2-volume-kms-key --amazonec2-kms-key --amazonec2-iam-instance-profile --amazonec2-ssh-user --amazonec2-ssh-port --amazonec2-ssh-keypath --amazonec2-keypair-name --amazonec2-request-spot-instance --amazonec2-spot-price --amazonec2-block-duration-minutes --amazonec2-monitoring --amazonec2-use-ebs-optimized-instance --amazonec2-tags --amazonec2-userdata --amazonec2-use-fleet --amazonec2-launch-template --amazonec2-vpc-id --amazonec2-zone --amazonec2-subnet-id --amazonec2-security-group --amazonec2-security-group-readonly --amazonec2-open-port --amazonec2-private-address-only --amazonec2-use-private-address --amazonec2-ipv6-address-count --amazonec2-enable-primary-ipv6 --amazonec2-ipv6-address-only --amazonec2-metadata-token --amazonec2-metadata-token-response-hop-limit --amazonec2-http-put-response-hop-limit --amazonec2-http-tokens --amazonec2-http-endpoint --amazonec2-http-protocol-ipv6 --amazonec2-ssh-key-type --amazonec2-spot-fallback --amazonec2-security-group-cidr --amazonec2-max-lifetime --amazonec2-owner-tag-prefix --amazonec2-no-owner-tags --generic-engine-port --generic-ip-address --generic-ssh-user --generic-ssh-key --generic-ssh-port --url"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --older-than)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tag)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --driver)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-access-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-secret-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-session-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-region)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ami)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-instance-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-device-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-root-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-iops)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-throughput)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-volume-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-kms-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-iam-instance-profile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-keypath)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-keypair-name)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-price)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-block-duration-minutes)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-tags)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-userdata)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-launch-template)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-vpc-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-zone)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-subnet-id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-open-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ipv6-address-count)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-metadata-token-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-put-response-hop-limit)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-tokens)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-endpoint)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-http-protocol-ipv6)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-ssh-key-type)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-spot-fallback)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-security-group-cidr)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-max-lifetime)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --amazonec2-owner-tag-prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-engine-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ip-address)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-key)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --generic-ssh-port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__regenerate__subcmd__certs)
            opts="-f -h --force --client-certs --accept-new-host-key --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__restart)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__rm)
            opts="-f -y -h --force --yes --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__scp)
            opts="-r -d -q -h --recursive --delta --quiet --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__ssh)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__start)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__status)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__stop)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__update__subcmd__labels)
            opts="-h --label --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --label)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__upgrade)
            opts="-h --engine-version --accept-new-host-key --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --engine-version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__url)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        docker__machine__subcmd__version)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}


_docker-machine_with_names() {
    _docker__machine "$@"
    local word current="${COMP_WORDS[COMP_CWORD]}"
    [[ $current == -* ]] && return 0
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
            config|doctor|env|inspect|ip|kill|ls|mount|provision|regenerate-certs|restart|rm|scp|ssh|start|status|stop|update-labels|upgrade|url|version)
                COMPREPLY+=($(compgen -W "$(docker-machine ls -q 2>/dev/null)" -- "$current"))
                return 0
                ;;
        esac
    done
    return 0
}

complete -F _docker-machine_with_names -o bashdefault -o default docker-machine
