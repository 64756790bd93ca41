# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_docker_machine_global_optspecs
    string join \n D/debug s/storage-path= tls-ca-cert= tls-ca-key= tls-client-cert= tls-client-key= github-api-token= native-ssh bugsnag-api-token= h/help v/version
end

function __fish_docker_machine_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_docker_machine_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_docker_machine_using_subcommand
    set -l cmd (__fish_docker_machine_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c docker-machine -n "__fish_docker_machine_needs_command" -s s -l storage-path -d 'Where machines and certificates are kept, instead of ~/.docker/machine [$MACHINE_STORAGE_PATH]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l tls-ca-cert -d 'The CA\'s certificate, instead of certs/ca.pem [$MACHINE_TLS_CA_CERT]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l tls-ca-key -d 'The CA\'s private key, instead of certs/ca-key.pem [$MACHINE_TLS_CA_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l tls-client-cert -d 'The client\'s certificate, instead of certs/cert.pem [$MACHINE_TLS_CLIENT_CERT]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l tls-client-key -d 'The client\'s private key, instead of certs/key.pem [$MACHINE_TLS_CLIENT_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l github-api-token -d 'Accepted, and not used [$MACHINE_GITHUB_API_TOKEN]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l bugsnag-api-token -d 'Accepted: nothing is ever sent anywhere [$MACHINE_BUGSNAG_API_TOKEN]' -r
complete -c docker-machine -n "__fish_docker_machine_needs_command" -s D -l debug -d 'Tell each step, call and wait, with its duration [$MACHINE_DEBUG]'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -l native-ssh -d 'Accepted: SSH is always native [$MACHINE_NATIVE_SSH]'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -s v -l version -d 'Print the version'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "active" -d 'Print which machine is active'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "config" -d 'Print the connection options of a machine\'s Docker'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "create" -d 'Create a machine'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "doctor" -d 'Say what is right, what is wrong, and what to do'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "env" -d 'Print the commands that point a shell\'s docker at a machine'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "inspect" -d 'Print the configuration of a machine'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "ip" -d 'Print the addresses of machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "kill" -d 'Kill machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "ls" -d 'List machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "mount" -d 'Mount a machine\'s directory here'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "provision" -d 'Provision machines again'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "prune" -d 'List or remove cloud resources that no machine owns'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "regenerate-certs" -d 'Issue new TLS certificates for machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "restart" -d 'Restart machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "rm" -d 'Remove machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "scp" -d 'Copy files between here and machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "ssh" -d 'Log in to a machine, or run a command there'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "start" -d 'Start machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "status" -d 'Print the state of a machine'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "stop" -d 'Stop machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "update-labels" -d 'Set labels on a machine in the cloud'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "upgrade" -d 'Upgrade Docker on machines'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "url" -d 'Print the URL of a machine\'s Docker'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "version" -d 'Print the version of this program, or of a machine\'s Docker'
complete -c docker-machine -n "__fish_docker_machine_needs_command" -f -a "help" -d 'Print the help of this program, or of one command'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand active" -s t -l timeout -d 'How many seconds a machine may take to answer [default: 10]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand active" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand config" -l swarm -d 'Those of the swarm that the machine is the master of'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand config" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -s d -l driver -d 'Which driver makes the machine [$MACHINE_DRIVER]' -r -f -a "amazonec2\t''
generic\t''
none\t''"
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-install-url -d 'Where Docker\'s installation script comes from [default: https://get.docker.com] [$MACHINE_DOCKER_INSTALL_URL]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-version -d 'Which release of Docker to install, instead of the newest' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-opt -d 'An option of dockerd, as FLAG=VALUE without dashes (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-insecure-registry -d 'A registry to be used without checking its certificate (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-registry-mirror -d 'A registry mirror (repeatable) [$ENGINE_REGISTRY_MIRROR]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-label -d 'A label of the engine, as KEY=VALUE (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-storage-driver -d 'Docker\'s storage driver' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l engine-env -d 'An environment variable of dockerd, as NAME=VALUE (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l tls-san -d 'Another name or address for the server\'s certificate (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l custom-install-script -d 'A script to run instead of installing and configuring Docker' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l hostname-override -d 'The host\'s name, instead of the machine\'s' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-image -d 'The image of the swarm\'s agent [default: swarm:latest] [$MACHINE_SWARM_IMAGE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-discovery -d 'The swarm\'s discovery service, as SCHEME://...' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-strategy -d 'The swarm\'s scheduling strategy [default: spread]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-opt -d 'An option of the swarm\'s master (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-join-opt -d 'An option of the swarm\'s agent (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-host -d 'Where the swarm\'s master listens [default: tcp://0.0.0.0:3376]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-addr -d 'The address that the swarm is told' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-access-key -d 'AWS access key [$AWS_ACCESS_KEY_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-secret-key -d 'AWS secret key [$AWS_SECRET_ACCESS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-session-token -d 'AWS session token [$AWS_SESSION_TOKEN]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-region -d 'AWS region [default: us-east-1] [$AWS_DEFAULT_REGION]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-endpoint -d 'Endpoint of an EC2 that is not AWS\'s own: a URL, or a host name [$AWS_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-retries -d 'Retries of a call that failed for now; -1 disables them [default: 5]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ami -d 'Machine image (default: the newest Ubuntu LTS) [$AWS_AMI]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-instance-type -d 'Instance type; repeated: the others serve where EC2 has no capacity for the last one [default: t2.micro] [$AWS_INSTANCE_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-device-name -d 'Root device; the default yields to the image\'s own [default: /dev/sda1] [$AWS_DEVICE_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-root-size -d 'Size of the root volume in GB [default: 16] [$AWS_ROOT_SIZE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-volume-type -d 'Type of the root volume [default: gp2] [$AWS_VOLUME_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-volume-iops -d 'IOPS of the root volume: gp3, io1, io2 [default: 0] [$AWS_VOLUME_IOPS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-volume-throughput -d 'Throughput of the root volume in MiB/s: gp3 [default: 0] [$AWS_VOLUME_THROUGHPUT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-volume-kms-key -d 'KMS key that encrypts the root volume [$AWS_VOLUME_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-kms-key -d 'Same as --amazonec2-volume-kms-key [$AWS_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-iam-instance-profile -d 'IAM instance profile [$AWS_INSTANCE_PROFILE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ssh-user -d 'Login name; the default yields to the image\'s own [default: ubuntu] [$AWS_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ssh-port -d 'Port of sshd [default: 22] [$AWS_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ssh-keypath -d 'Private key to log in with, instead of a new one [$AWS_SSH_KEYPATH]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-keypair-name -d 'Existing key pair; needs --amazonec2-ssh-keypath [$AWS_KEYPAIR_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-spot-price -d 'Highest spot price in dollars per hour; empty: the on-demand price [default: 0.50]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-block-duration-minutes -d 'Ended by AWS in 2022: spot block duration of 60 to 360 minutes [default: 0]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-tags -d 'Tags: key1,value1,key2,value2 [$AWS_TAGS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-userdata -d 'File with cloud-init user data [$AWS_USERDATA]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-launch-template -d 'Name of the launch template of the fleet' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-vpc-id -d 'VPC (default: the account\'s default VPC) [$AWS_VPC_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-zone -d 'Availability zone: a, or us-east-1a [default: a] [$AWS_ZONE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-subnet-id -d 'Subnet (default: one of the zone and VPC); repeated: the others serve where EC2 has no capacity in the last one [$AWS_SUBNET_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-security-group -d 'Security group, by name or id; made where a name is missing [default: docker-machine] (repeatable) [$AWS_SECURITY_GROUP]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-open-port -d 'Another port to open: 80, or 53/udp (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ipv6-address-count -d 'Number of IPv6 addresses [default: 0] [$AWS_IPV6_ADDRESS_COUNT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-metadata-token -d 'Whether the metadata service wants a token: optional, required [default: optional]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-metadata-token-response-hop-limit -d 'Network hops that a metadata token may travel [default: 1]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-http-put-response-hop-limit -d 'Same as --amazonec2-metadata-token-response-hop-limit [default: 0] [$AWS_HTTP_PUT_RESPONSE_HOP_LIMIT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-http-tokens -d 'Same as --amazonec2-metadata-token [$AWS_HTTP_TOKENS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-http-endpoint -d 'Metadata service: enabled, disabled [$AWS_HTTP_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-http-protocol-ipv6 -d 'Metadata service over IPv6: enabled, disabled [$AWS_HTTP_PROTOCOL_IPV6]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ssh-key-type -d 'Type of a new SSH key: ed25519, rsa [default: ed25519]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-spot-fallback -d 'Launch on demand where there is no spot capacity; =any: where the price is too low, too' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-security-group-cidr -d 'Network that the opened ports are open to (default 0.0.0.0/0) (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-max-lifetime -d 'Let the instance terminate itself after this time: 6h, 90m' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-owner-tag-prefix -d 'Prefix of the tags that say which store owns a resource [default: docker-machine]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l generic-engine-port -d 'Docker engine port [default: 2376] [$GENERIC_ENGINE_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l generic-ip-address -d 'IP address of the machine [$GENERIC_IP_ADDRESS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l generic-ssh-user -d 'SSH user [default: root] [$GENERIC_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l generic-ssh-key -d 'SSH private key path (if not provided, the agent and the keys in ~/.ssh are tried) [$GENERIC_SSH_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l generic-ssh-port -d 'SSH port [default: 22] [$GENERIC_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l url -d 'URL of host when no driver is selected' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l open-firewall -d 'Let Docker\'s port through firewalld or ufw on the machine'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l dry-run -d 'Check everything, print what would be made, and make nothing'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm -d 'Record the machine as a member of a classic swarm'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-master -d 'Record it as the swarm\'s master'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l swarm-experimental -d 'Record the swarm\'s experimental features as on'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-insecure-transport -d 'Talk to the endpoint without TLS [$AWS_INSECURE_TRANSPORT]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-volume-encrypted -d 'Encrypt the root volume'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-encrypt-ebs-volume -d 'Same as --amazonec2-volume-encrypted [$AWS_ENCRYPT_EBS_VOLUME]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-request-spot-instance -d 'Launch a spot instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-monitoring -d 'Enable detailed CloudWatch monitoring'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-use-ebs-optimized-instance -d 'Launch an EBS-optimised instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-use-fleet -d 'Launch with CreateFleet; needs --amazonec2-launch-template'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-security-group-readonly -d 'Leave the security groups\' rules alone [$AWS_SECURITY_GROUP_READONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-private-address-only -d 'Launch without a public address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-use-private-address -d 'Talk to the machine\'s private address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-enable-primary-ipv6 -d 'Make the first IPv6 address the primary one [$AWS_ENABLE_PRIMARY_IPV6]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-ipv6-address-only -d 'Talk to the machine\'s IPv6 address [$AWS_IPV6_ADDRESS_ONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand create" -l amazonec2-no-owner-tags -d 'Tag nothing with its owner'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -s d -l driver -d 'Examine a create with this driver, and its flags [$MACHINE_DRIVER]' -r -f -a "amazonec2\t''
generic\t''
none\t''"
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-access-key -d 'AWS access key [$AWS_ACCESS_KEY_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-secret-key -d 'AWS secret key [$AWS_SECRET_ACCESS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-session-token -d 'AWS session token [$AWS_SESSION_TOKEN]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-region -d 'AWS region [default: us-east-1] [$AWS_DEFAULT_REGION]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-endpoint -d 'Endpoint of an EC2 that is not AWS\'s own: a URL, or a host name [$AWS_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-retries -d 'Retries of a call that failed for now; -1 disables them [default: 5]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ami -d 'Machine image (default: the newest Ubuntu LTS) [$AWS_AMI]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-instance-type -d 'Instance type; repeated: the others serve where EC2 has no capacity for the last one [default: t2.micro] [$AWS_INSTANCE_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-device-name -d 'Root device; the default yields to the image\'s own [default: /dev/sda1] [$AWS_DEVICE_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-root-size -d 'Size of the root volume in GB [default: 16] [$AWS_ROOT_SIZE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-volume-type -d 'Type of the root volume [default: gp2] [$AWS_VOLUME_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-volume-iops -d 'IOPS of the root volume: gp3, io1, io2 [default: 0] [$AWS_VOLUME_IOPS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-volume-throughput -d 'Throughput of the root volume in MiB/s: gp3 [default: 0] [$AWS_VOLUME_THROUGHPUT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-volume-kms-key -d 'KMS key that encrypts the root volume [$AWS_VOLUME_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-kms-key -d 'Same as --amazonec2-volume-kms-key [$AWS_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-iam-instance-profile -d 'IAM instance profile [$AWS_INSTANCE_PROFILE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ssh-user -d 'Login name; the default yields to the image\'s own [default: ubuntu] [$AWS_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ssh-port -d 'Port of sshd [default: 22] [$AWS_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ssh-keypath -d 'Private key to log in with, instead of a new one [$AWS_SSH_KEYPATH]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-keypair-name -d 'Existing key pair; needs --amazonec2-ssh-keypath [$AWS_KEYPAIR_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-spot-price -d 'Highest spot price in dollars per hour; empty: the on-demand price [default: 0.50]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-block-duration-minutes -d 'Ended by AWS in 2022: spot block duration of 60 to 360 minutes [default: 0]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-tags -d 'Tags: key1,value1,key2,value2 [$AWS_TAGS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-userdata -d 'File with cloud-init user data [$AWS_USERDATA]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-launch-template -d 'Name of the launch template of the fleet' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-vpc-id -d 'VPC (default: the account\'s default VPC) [$AWS_VPC_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-zone -d 'Availability zone: a, or us-east-1a [default: a] [$AWS_ZONE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-subnet-id -d 'Subnet (default: one of the zone and VPC); repeated: the others serve where EC2 has no capacity in the last one [$AWS_SUBNET_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-security-group -d 'Security group, by name or id; made where a name is missing [default: docker-machine] (repeatable) [$AWS_SECURITY_GROUP]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-open-port -d 'Another port to open: 80, or 53/udp (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ipv6-address-count -d 'Number of IPv6 addresses [default: 0] [$AWS_IPV6_ADDRESS_COUNT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-metadata-token -d 'Whether the metadata service wants a token: optional, required [default: optional]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-metadata-token-response-hop-limit -d 'Network hops that a metadata token may travel [default: 1]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-http-put-response-hop-limit -d 'Same as --amazonec2-metadata-token-response-hop-limit [default: 0] [$AWS_HTTP_PUT_RESPONSE_HOP_LIMIT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-http-tokens -d 'Same as --amazonec2-metadata-token [$AWS_HTTP_TOKENS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-http-endpoint -d 'Metadata service: enabled, disabled [$AWS_HTTP_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-http-protocol-ipv6 -d 'Metadata service over IPv6: enabled, disabled [$AWS_HTTP_PROTOCOL_IPV6]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ssh-key-type -d 'Type of a new SSH key: ed25519, rsa [default: ed25519]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-spot-fallback -d 'Launch on demand where there is no spot capacity; =any: where the price is too low, too' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-security-group-cidr -d 'Network that the opened ports are open to (default 0.0.0.0/0) (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-max-lifetime -d 'Let the instance terminate itself after this time: 6h, 90m' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-owner-tag-prefix -d 'Prefix of the tags that say which store owns a resource [default: docker-machine]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l generic-engine-port -d 'Docker engine port [default: 2376] [$GENERIC_ENGINE_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l generic-ip-address -d 'IP address of the machine [$GENERIC_IP_ADDRESS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l generic-ssh-user -d 'SSH user [default: root] [$GENERIC_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l generic-ssh-key -d 'SSH private key path (if not provided, the agent and the keys in ~/.ssh are tried) [$GENERIC_SSH_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l generic-ssh-port -d 'SSH port [default: 22] [$GENERIC_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l url -d 'URL of host when no driver is selected' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-insecure-transport -d 'Talk to the endpoint without TLS [$AWS_INSECURE_TRANSPORT]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-volume-encrypted -d 'Encrypt the root volume'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-encrypt-ebs-volume -d 'Same as --amazonec2-volume-encrypted [$AWS_ENCRYPT_EBS_VOLUME]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-request-spot-instance -d 'Launch a spot instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-monitoring -d 'Enable detailed CloudWatch monitoring'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-use-ebs-optimized-instance -d 'Launch an EBS-optimised instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-use-fleet -d 'Launch with CreateFleet; needs --amazonec2-launch-template'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-security-group-readonly -d 'Leave the security groups\' rules alone [$AWS_SECURITY_GROUP_READONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-private-address-only -d 'Launch without a public address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-use-private-address -d 'Talk to the machine\'s private address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-enable-primary-ipv6 -d 'Make the first IPv6 address the primary one [$AWS_ENABLE_PRIMARY_IPV6]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-ipv6-address-only -d 'Talk to the machine\'s IPv6 address [$AWS_IPV6_ADDRESS_ONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand doctor" -l amazonec2-no-owner-tags -d 'Tag nothing with its owner'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand env" -l shell -d 'Which shell it is for: bash, zsh, sh, fish, tcsh, cmd, powershell or emacs; $SHELL where not given' -r -f -a "bash\t''
zsh\t''
sh\t''
fish\t''
tcsh\t''
cmd\t''
powershell\t''
emacs\t''"
complete -c docker-machine -n "__fish_docker_machine_using_subcommand env" -l swarm -d 'Point at the swarm that the machine is the master of'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand env" -s u -l unset -d 'Unset the variables'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand env" -l no-proxy -d 'Add the machine\'s address to $NO_PROXY'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand env" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand inspect" -s f -l format -d 'Print what this Go template makes of it' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ip" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand kill" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -l filter -d 'Which machines, as KEY=VALUE (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -s t -l timeout -d 'How many seconds a machine may take to answer [default: 10]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -s f -l format -d 'How to show them' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -s q -l quiet -d 'Print names only, and ask nobody'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -l json -d 'The same as --format json'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ls" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand mount" -s u -l unmount -d 'Unmount it'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand mount" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand provision" -l open-firewall -d 'Let Docker\'s port through firewalld or ufw on the machines'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand provision" -l accept-new-host-key -d 'Pin the host key that the machine shows now, for a host that was set up anew'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand provision" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l older-than -d 'How long something must have been unused, as 90m, 2h or 1d [default: 2h]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l tag -d 'Only what carries this tag as well, as KEY=VALUE; no wildcards (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -s d -l driver -d 'A driver whose flags name a place to look in, besides those of the machines' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-access-key -d 'AWS access key [$AWS_ACCESS_KEY_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-secret-key -d 'AWS secret key [$AWS_SECRET_ACCESS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-session-token -d 'AWS session token [$AWS_SESSION_TOKEN]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-region -d 'AWS region [default: us-east-1] [$AWS_DEFAULT_REGION]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-endpoint -d 'Endpoint of an EC2 that is not AWS\'s own: a URL, or a host name [$AWS_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-retries -d 'Retries of a call that failed for now; -1 disables them [default: 5]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ami -d 'Machine image (default: the newest Ubuntu LTS) [$AWS_AMI]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-instance-type -d 'Instance type; repeated: the others serve where EC2 has no capacity for the last one [default: t2.micro] [$AWS_INSTANCE_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-device-name -d 'Root device; the default yields to the image\'s own [default: /dev/sda1] [$AWS_DEVICE_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-root-size -d 'Size of the root volume in GB [default: 16] [$AWS_ROOT_SIZE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-volume-type -d 'Type of the root volume [default: gp2] [$AWS_VOLUME_TYPE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-volume-iops -d 'IOPS of the root volume: gp3, io1, io2 [default: 0] [$AWS_VOLUME_IOPS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-volume-throughput -d 'Throughput of the root volume in MiB/s: gp3 [default: 0] [$AWS_VOLUME_THROUGHPUT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-volume-kms-key -d 'KMS key that encrypts the root volume [$AWS_VOLUME_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-kms-key -d 'Same as --amazonec2-volume-kms-key [$AWS_KMS_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-iam-instance-profile -d 'IAM instance profile [$AWS_INSTANCE_PROFILE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ssh-user -d 'Login name; the default yields to the image\'s own [default: ubuntu] [$AWS_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ssh-port -d 'Port of sshd [default: 22] [$AWS_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ssh-keypath -d 'Private key to log in with, instead of a new one [$AWS_SSH_KEYPATH]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-keypair-name -d 'Existing key pair; needs --amazonec2-ssh-keypath [$AWS_KEYPAIR_NAME]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-spot-price -d 'Highest spot price in dollars per hour; empty: the on-demand price [default: 0.50]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-block-duration-minutes -d 'Ended by AWS in 2022: spot block duration of 60 to 360 minutes [default: 0]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-tags -d 'Tags: key1,value1,key2,value2 [$AWS_TAGS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-userdata -d 'File with cloud-init user data [$AWS_USERDATA]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-launch-template -d 'Name of the launch template of the fleet' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-vpc-id -d 'VPC (default: the account\'s default VPC) [$AWS_VPC_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-zone -d 'Availability zone: a, or us-east-1a [default: a] [$AWS_ZONE]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-subnet-id -d 'Subnet (default: one of the zone and VPC); repeated: the others serve where EC2 has no capacity in the last one [$AWS_SUBNET_ID]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-security-group -d 'Security group, by name or id; made where a name is missing [default: docker-machine] (repeatable) [$AWS_SECURITY_GROUP]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-open-port -d 'Another port to open: 80, or 53/udp (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ipv6-address-count -d 'Number of IPv6 addresses [default: 0] [$AWS_IPV6_ADDRESS_COUNT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-metadata-token -d 'Whether the metadata service wants a token: optional, required [default: optional]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-metadata-token-response-hop-limit -d 'Network hops that a metadata token may travel [default: 1]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-http-put-response-hop-limit -d 'Same as --amazonec2-metadata-token-response-hop-limit [default: 0] [$AWS_HTTP_PUT_RESPONSE_HOP_LIMIT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-http-tokens -d 'Same as --amazonec2-metadata-token [$AWS_HTTP_TOKENS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-http-endpoint -d 'Metadata service: enabled, disabled [$AWS_HTTP_ENDPOINT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-http-protocol-ipv6 -d 'Metadata service over IPv6: enabled, disabled [$AWS_HTTP_PROTOCOL_IPV6]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ssh-key-type -d 'Type of a new SSH key: ed25519, rsa [default: ed25519]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-spot-fallback -d 'Launch on demand where there is no spot capacity; =any: where the price is too low, too' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-security-group-cidr -d 'Network that the opened ports are open to (default 0.0.0.0/0) (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-max-lifetime -d 'Let the instance terminate itself after this time: 6h, 90m' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-owner-tag-prefix -d 'Prefix of the tags that say which store owns a resource [default: docker-machine]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l generic-engine-port -d 'Docker engine port [default: 2376] [$GENERIC_ENGINE_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l generic-ip-address -d 'IP address of the machine [$GENERIC_IP_ADDRESS]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l generic-ssh-user -d 'SSH user [default: root] [$GENERIC_SSH_USER]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l generic-ssh-key -d 'SSH private key path (if not provided, the agent and the keys in ~/.ssh are tried) [$GENERIC_SSH_KEY]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l generic-ssh-port -d 'SSH port [default: 22] [$GENERIC_SSH_PORT]' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l url -d 'URL of host when no driver is selected' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -s f -l force -d 'Remove what is found'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l all-stores -d 'Look for the resources of every store but for those of this store\'s machines; wants --tag'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l store-moved -d 'Confirm that the store was moved here: its id is its own, and prune goes on'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l store-copied -d 'Confirm that the store is a copy: new machines get an id of its own'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-insecure-transport -d 'Talk to the endpoint without TLS [$AWS_INSECURE_TRANSPORT]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-volume-encrypted -d 'Encrypt the root volume'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-encrypt-ebs-volume -d 'Same as --amazonec2-volume-encrypted [$AWS_ENCRYPT_EBS_VOLUME]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-request-spot-instance -d 'Launch a spot instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-monitoring -d 'Enable detailed CloudWatch monitoring'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-use-ebs-optimized-instance -d 'Launch an EBS-optimised instance'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-use-fleet -d 'Launch with CreateFleet; needs --amazonec2-launch-template'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-security-group-readonly -d 'Leave the security groups\' rules alone [$AWS_SECURITY_GROUP_READONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-private-address-only -d 'Launch without a public address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-use-private-address -d 'Talk to the machine\'s private address'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-enable-primary-ipv6 -d 'Make the first IPv6 address the primary one [$AWS_ENABLE_PRIMARY_IPV6]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-ipv6-address-only -d 'Talk to the machine\'s IPv6 address [$AWS_IPV6_ADDRESS_ONLY]'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand prune" -l amazonec2-no-owner-tags -d 'Tag nothing with its owner'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand regenerate-certs" -s f -l force -d 'Do not ask'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand regenerate-certs" -l client-certs -d 'Issue a new client certificate too'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand regenerate-certs" -l accept-new-host-key -d 'Pin the host key that the machine shows now, for a host that was set up anew'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand regenerate-certs" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand restart" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand rm" -s f -l force -d 'Forget machines even where something of them is left; implies -y'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand rm" -s y -l yes -d 'Do not ask'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand rm" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand scp" -s r -l recursive -d 'Copy directories with all that is in them'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand scp" -s d -l delta -d 'Send differences only, by rsync'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand scp" -s q -l quiet -d 'Show no progress'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand scp" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand ssh" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand start" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand status" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand stop" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand update-labels" -l label -d 'KEY=VALUE to set (repeatable)' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand update-labels" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand upgrade" -l engine-version -d 'Which release of Docker to move to, instead of the newest' -r
complete -c docker-machine -n "__fish_docker_machine_using_subcommand upgrade" -l accept-new-host-key -d 'Pin the host key that the machine shows now, for a host that was set up anew'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand upgrade" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand url" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand version" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_docker_machine_using_subcommand help" -s h -l help -d 'Print help'
complete -c docker-machine -n "__fish_seen_subcommand_from config doctor env inspect ip kill ls mount provision regenerate-certs restart rm scp ssh start status stop update-labels upgrade url version" -a "(docker-machine ls -q 2>/dev/null)" -d "Machine"
